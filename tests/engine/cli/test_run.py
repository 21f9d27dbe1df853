"""`q4k run` from outside: stdout, stderr and exit code of a subprocess."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.llm import Llm
from engine.ops.cpu.isa import choose, cores
from support import tiny_qwen2
from support.q4k import argv, environment, q4k, start, write_endless

SPEED = re.compile(r"q4k: prefill (\d+) tokens?, [\d.]+/s; decode (\d+) tokens?, [\d.]+/s; (.*)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return tiny_qwen2.write_tiny(folder / "tiny.gguf")


@pytest.fixture(scope="module")
def endless(folder: Path) -> Path:
    return write_endless(folder / "endless.gguf")


def answer(path: Path, prompt: str, **options: object) -> str:
    with Llm.load(path, backend="reference") as llm:
        return llm.generate(prompt, **options).text  # type: ignore[arg-type]


def test_text_goes_to_stdout_and_facts_to_stderr(tiny: Path):
    ended = q4k("run", tiny, "--prompt", "hi", "--backend", "reference", "--max-tokens", "9")
    assert ended.stdout == answer(tiny, "hi", max_tokens=9) + "\n"
    first, second = ended.stderr.splitlines()
    assert re.fullmatch(r"q4k: backend reference \(float32, \d+ threads?\), model tiny\.gguf \(qwen2, 0\.2 MB\)", first)
    speed = SPEED.fullmatch(second)
    assert speed
    assert speed.groups() == ("13", "8", "cut at 9 tokens (--max-tokens)")
    assert ended.code == 0


def test_teacher_answers_on_the_default_backend():
    """The bundled model, as a stranger would ask it first."""
    ended = q4k("run", "--teacher", "--prompt", "What is 2+2?")
    assert ended.stdout == "2 + 2 equals 4.\n"
    first, second = ended.stderr.splitlines()
    assert re.fullmatch(r"q4k: backend cpu \(float32, \d+ threads?\), model teacher\.gguf \(qwen2, \d\.\d MB\)", first)
    speed = SPEED.fullmatch(second)
    assert speed
    assert speed[3] == "ended by itself"
    assert ended.code == 0


def test_json_is_one_object_with_the_run_record(tiny: Path):
    ended = q4k("run", tiny, "-p", "hi", "--backend", "reference", "--max-tokens", "4", "--json", "--no-gpu")
    result = json.loads(ended.stdout)
    assert ended.code == 0
    assert result["schema"] == "q4k.run/1"
    assert result["text"] == answer(tiny, "hi", max_tokens=4)
    assert len(result["token_ids"]) == 4
    assert result["stop_reason"] == "length"
    assert result["record"]["backend"] == "reference"
    assert result["timings"]["prefill_tokens"] == len(result["prompt_ids"]) == 13


def test_seed_repeats_an_answer_and_stdin_is_a_prompt(tiny: Path):
    args = ("run", tiny, "--backend", "reference", "--temperature", "1.5", "--top-k", "50", "--max-tokens", "12")
    one = q4k(*args, "--seed", "4", "--prompt", "-", stdin="hi there")
    two = q4k(*args, "--seed", "4", "--prompt", "hi there")
    three = q4k(*args, "--seed", "5", "--prompt", "hi there")
    assert one.code == 0
    assert one.stdout == two.stdout != three.stdout


def test_raw_prompt_is_not_put_into_the_template(tiny: Path):
    ended = q4k("run", tiny, "-p", "hi", "--raw", "--backend", "reference", "--max-tokens", "2")
    assert "prefill 2 tokens" in ended.stderr
    assert ended.stdout == answer(tiny, "hi", raw=True, max_tokens=2) + "\n"


def test_filter_without_temperature_is_pointed_out(tiny: Path):
    ended = q4k("run", tiny, "-p", "hi", "--top-p", "0.5", "--backend", "reference", "--max-tokens", "1")
    assert ended.code == 0
    assert "q4k: warning: --top-k, --top-p and --min-p have no effect at temperature 0\n" in ended.stderr


def test_full_context_is_pointed_out(tiny: Path):
    ended = q4k("run", tiny, "-p", "hi " * 35, "--raw", "--backend", "reference", "--max-tokens", "500")
    assert ended.code == 0
    assert ended.stderr.endswith("; cut: the context of 128 tokens is full\n") or "ended by itself" in ended.stderr


def nothing(path: Path) -> Path:
    return path


def folder_instead(path: Path) -> Path:
    path.mkdir()
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def lfs_pointer(path: Path) -> Path:
    oid = "sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid {oid}\nsize 4683073952\n")
    return path


def truncated(path: Path) -> Path:
    tiny_qwen2.write_tiny(path)
    path.write_bytes(path.read_bytes()[:-1])
    return path


def other_type(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_tensor("token_embd.weight", np.zeros((1, 66), np.uint8), raw_dtype=gguf.GGMLQuantizationType.IQ2_XXS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def other_architecture(path: Path) -> Path:
    shape = tiny_qwen2.Shape()
    return tiny_qwen2.write_gguf(
        path, tiny_qwen2.random_tensors(shape), tiny_qwen2.metadata(shape), architecture="falcon"
    )


def hostile_template(path: Path) -> Path:
    return tiny_qwen2.write_tiny(path, tokenizer__chat_template="{{ ().__class__ }}")


BAD_FILES = {
    "missing": (nothing, r"GGUF-F01: cannot open the file: no such file or directory"),
    "folder": (folder_instead, r"GGUF-F01: not a regular file; give the path of a \.gguf file"),
    "empty": (empty, r"GGUF-H01"),
    "git-lfs pointer": (lfs_pointer, r"GGUF-H05.*git-lfs pointer.*git lfs pull"),
    "truncated": (truncated, r"GGUF-T23.*incomplete download"),
    "unsupported type": (other_type, r"GGUF-T18.*IQ2_XXS"),
    "unsupported architecture": (
        other_architecture,
        r"GGUF-K12: general\.architecture 'falcon' is not supported; supported: llama, qwen2, qwen3",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_model_is_one_line_and_exit_2(tmp_path: Path, make, message: str):
    path = make(tmp_path / "bad.gguf")
    ended = q4k("run", path, "--prompt", "hi", "--backend", "reference")
    assert ended.stdout == ""
    assert re.fullmatch(rf"q4k: bad\.gguf: .*{message}.*\n", ended.stderr), ended.stderr
    assert ended.code == 2


def test_hostile_template_is_refused(tmp_path: Path):
    path = hostile_template(tmp_path / "bad.gguf")
    ended = q4k("run", path, "--prompt", "hi", "--backend", "reference")
    assert ended.stderr.splitlines()[1:] == [
        "q4k: bad.gguf: GGUF-M12: chat template refused: "
        "SecurityError: access to attribute '__class__' of 'tuple' object is unsafe"
    ]
    assert (ended.stdout, ended.code) == ("", 2)


BAD_PROMPTS = {
    "empty": ("", "prompt is empty; it must have at least one token"),
    "blank": (" \n\t", "prompt is empty; it must have at least one token"),
    "too long": ("x " * 300, "prompt has 611 tokens, the context holds 128"),
    "not utf-8": ("\udcff", "text is not valid Unicode at character 17: '\\udcff'"),
}


@pytest.mark.parametrize(("prompt", "message"), BAD_PROMPTS.values(), ids=BAD_PROMPTS)
def test_bad_prompt_is_one_line_and_exit_2(tiny: Path, prompt: str, message: str):
    ended = q4k("run", tiny, "--prompt", prompt, "--backend", "reference")
    assert ended.stderr.splitlines()[1:] == [f"q4k: {message}"]
    assert (ended.stdout, ended.code) == ("", 2)


USAGE = {
    "mistyped flag": (["--promt", "hi"], "no such option: --promt (Possible options: --prompt) (see q4k run --help)"),
    "no prompt": ([], "missing option '--prompt' / '-p' (see q4k run --help)"),
    "two models": (["-p", "hi", "--teacher"], "give either the path of a model or --teacher"),
    "no such backend": (["-p", "hi", "--backend", "cpuu"], "no such backend 'cpuu'; available: cpu, cuda, reference"),
    "contradiction": (
        ["-p", "hi", "--no-gpu", "--backend", "cuda"],
        "--no-gpu and --backend cuda contradict each other",
    ),
    "gpu on cpu": (["-p", "hi", "--gpu", "--backend", "cpu"], "--gpu and --backend cpu contradict each other"),
    "raw system": (
        ["-p", "hi", "--raw", "--system", "s"],
        "--raw and --system contradict each other: a system message needs the chat template",
    ),
    "temperature": (["-p", "hi", "--temperature", "-1"], "temperature is -1.0, must be finite and >= 0"),
    "precision of no backend": (
        ["-p", "hi", "--precision", "f16"],
        "backend cpu has no precision 'f16'; available: f32, q16, q8",
    ),
    "precision of another backend": (
        ["-p", "hi", "--gpu", "--precision", "q16"],
        "backend cuda has no precision 'q16'; available: q8, f32",
    ),
    "cache of no backend": (
        ["-p", "hi", "--kv-cache", "f8"],
        "--kv-cache: kv cache 'f8' is not one that backend 'cpu' has; available: f32, f16",
    ),
    "cache of another backend": (
        ["-p", "hi", "--gpu", "--kv-cache", "f32"],
        "--kv-cache: kv cache 'f32' is not one that backend 'cuda' has; available: f16",
    ),
    "no thread": (
        ["-p", "hi", "--threads", "0"],
        f"--threads is 0, must be in 1..{cores()}, the cores that this process may use",
    ),
    "threads of another backend": (
        ["-p", "hi", "--backend", "reference", "--threads", "1"],
        "--threads is for --backend cpu; the backend is reference",
    ),
    "top-p": (["-p", "hi", "--top-p", "2"], "top-p is 2.0, must be in (0, 1] (1: all tokens)"),
}


@pytest.mark.parametrize(("args", "message"), USAGE.values(), ids=USAGE)
def test_wrong_usage_is_one_line_and_exit_2(tiny: Path, args: list[str], message: str):
    ended = q4k("run", tiny, *args)
    assert (ended.stdout, ended.stderr, ended.code) == ("", f"q4k: {message}\n", 2)


def test_number_that_is_none_is_refused(tiny: Path):
    ended = q4k("run", "no-such-file.gguf", "-p", "hi", "--max-tokens", "0")
    assert ended.stderr == "q4k: --max-tokens is 0, must be >= 1\n"
    ended = q4k("run", tiny, "-p", "hi", "--max-tokens", "many")
    assert re.fullmatch(r"q4k: invalid value for '--max-tokens': .*integer.*\n", ended.stderr)
    assert ended.code == 2


@pytest.mark.parametrize("args", [["--gpu"], ["--backend", "cuda"], ["--gpu", "--backend", "cuda"]], ids=" ".join)
def test_gpu_that_is_not_there_is_exit_4(tiny: Path, args: list[str]):
    """Never a silent fall-back to the processor. Why depends on what is installed: torch, its CUDA build, a driver."""
    ended = q4k("run", tiny, "-p", "hi", *args)
    assert re.fullmatch(r"q4k: backend 'cuda'.+\n", ended.stderr)
    assert (ended.stdout, ended.code) == ("", 4)


@pytest.mark.parametrize(("flags", "mode"), [([], "f32"), (["--precision", "q8"], "q8")], ids=["default", "q8"])
def test_the_record_states_the_precision(tiny: Path, flags: list[str], mode: str):
    ended = q4k("run", tiny, "-p", "hi", "--max-tokens", "1", "--json", *flags)
    assert json.loads(ended.stdout)["record"]["precision_mode"] == mode


@pytest.mark.parametrize(
    ("flags", "facts"),
    [
        (["--threads", "1"], {"threads": 1, "kv_cache": "f32", "instructions": None}),
        (["--threads", "1", "--kv-cache", "f16"], {"threads": 1, "kv_cache": "f16"}),
        (["--threads", "1", "--precision", "q8"], {"threads": 1, "kv_cache": "f16", "instructions": choose().label}),
        (["--precision", "q16"], {"threads": cores(), "kv_cache": "f32", "slow_types": []}),
    ],
    ids=["threads", "cache", "q8", "q16"],
)
def test_the_record_states_threads_cache_and_instructions(tiny: Path, flags: list[str], facts: dict[str, object]):
    ended = q4k("run", tiny, "-p", "hi", "--max-tokens", "1", "--json", *flags)
    record = json.loads(ended.stdout)["record"]
    assert {name: record[name] for name in facts} == facts


WATCHED = """
import sys
from engine.cli.main import main
sys.argv = ["q4k", "run", sys.argv[1], "-p", "hi", "--max-tokens", "2", "--no-gpu", *sys.argv[2:]]
try:
    main()
finally:
    found = [name for name in sys.modules if name.partition(".")[0] in ("torch", "triton", "cupy", "pynvml")]
    print("imported:", found, file=sys.stderr)
"""


@pytest.mark.parametrize("flags", [[], ["--precision", "q8"], ["--allow-fallback"]], ids=["plain", "q8", "fallback"])
def test_no_gpu_imports_nothing_of_a_gpu(tiny: Path, flags: list[str]):
    """In a process of its own; both packages are installed where the kernels are tested."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tiny), *flags], capture_output=True, text=True, check=True
    )
    assert done.stderr.endswith("imported: []\n")


def test_fallback_that_was_allowed_is_said(tiny: Path):
    ended = q4k("run", tiny, "-p", "hi", "--gpu", "--allow-fallback", "--max-tokens", "1", "--json")
    assert ended.stderr.startswith("q4k: warning: cuda was asked for and cpu runs: backend 'cuda'")
    record = json.loads(ended.stdout)["record"]
    assert (record["backend"], record["backend_asked"]) == ("cpu", "cuda")
    assert record["fallback"].startswith("backend 'cuda'")
    assert ended.code == 0


def test_ctrl_c_in_the_middle_is_exit_130(endless: Path):
    process = start("run", endless, "-p", "hi", "--backend", "reference", "--max-tokens", "29000")
    assert process.stdout is not None
    first = process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    rest, stderr = process.communicate(timeout=30)
    assert first + rest
    lines = stderr.decode().splitlines()
    assert lines[0].startswith("q4k: backend reference")
    assert lines[1:] == ["q4k: interrupted"]
    assert process.returncode == 130


def test_closed_pipe_ends_quietly(endless: Path):
    """As in `q4k run ... | head -c 1`; 141 is what a shell reports for SIGPIPE."""
    process = start("run", endless, "-p", "hi", "--backend", "reference", "--max-tokens", "29000")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    stderr = process.stderr.read().decode()
    assert process.wait(timeout=30) == 141
    assert len(stderr.splitlines()) == 1
    assert stderr.startswith("q4k: backend reference")


def test_unexpected_error_is_one_line_and_exit_5(tiny: Path):
    """A mistake of ours, planted in the sampler."""
    code = (
        "import sys, engine.sampling\n"
        "engine.sampling.sample = lambda *a: 1 / 0\n"
        "from engine.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(tiny), "-p", "hi", "--backend", "reference"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 5
    assert done.stderr.splitlines()[1:] == [
        "q4k: internal error: ZeroDivisionError: division by zero; set Q4K_TRACEBACK=1 to see where, "
        "and please report it"
    ]


def in_shell(model: Path, redirections: str) -> subprocess.CompletedProcess[str]:
    line = shlex.join(argv("run", model, "-p", "hi", "--backend", "reference", "--max-tokens", "2"))
    return subprocess.run(
        ["sh", "-c", f"{line} {redirections}"], check=False, env=environment(), capture_output=True, text=True
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tiny: Path, closed: str):
    """As in `q4k run ... >&-`, which schedulers and scripts do."""
    done = in_shell(tiny, closed)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_full_disk_is_one_line(tiny: Path):
    done = in_shell(tiny, "> /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["q4k: output cannot be written: no space left on device"]
