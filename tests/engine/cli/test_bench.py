"""`q4k bench` as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import engine.bench
from support.q4k import environment, q4k

SCHEMA = json.loads((Path(engine.bench.__file__).parent / "bench.schema.json").read_text())
ONE_OF = "give one of the path of a model, --teacher and --synthetic"
KNOWN = "known are qwen2.5-0.5b, qwen2.5-1.5b, qwen2.5-7b, tiny"
NOTHING = "nothing to measure: --prompt-tokens and --context are empty"
WAITING = "--processor-time needs --threads 1 and no cuda: waiting threads would be counted too"
OTHER_BACKEND = "--threads is for --backend cpu; the backend is reference"
COMMAS = "with commas between"
SHORT = ("--prompt-tokens", "3", "--context", "0,4", "--new-tokens", "2", "--repeats", "1")


def test_json_of_the_bundled_model_is_as_its_schema_says() -> None:
    ended = q4k("bench", "--teacher", "--backend", "reference", *SHORT, "--start-up", "--json")
    assert (ended.code, ended.stderr) == (0, "")
    found = json.loads(ended.stdout)
    jsonschema.validate(found, SCHEMA)
    assert [(r["kind"], r["tokens"]) for r in found["results"]] == [("prefill", 3), ("decode", 0), ("decode", 4)]
    assert found["model"]["name"] == "teacher.gguf"
    (start,) = found["start_up"]
    assert start["subject"] == "reference f32"
    assert start["peak_bytes"] > 20_000_000  # Python and numpy alone
    operations = {part["operation"] for part in found["breakdown"][0]["parts"]}
    assert {"matmul Q4_K", "matmul Q6_K", "attention", "rms_norm"} <= operations


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ONE_OF),
        (("--teacher", "--synthetic", "tiny"), ONE_OF),
        (("--teacher", "--backend", "tpu"), "no such backend 'tpu'; available: cpu, cuda, reference"),
        (("--teacher", "--precision", "q3"), "cpu has no precision 'q3'; available: f32, q8, q16"),
        (("--teacher", "--precision", "q8", "--precision", "x"), "no such precision 'x'; available: f32, q16, q8"),
        (("--teacher", "--backend", "cuda", "--precision", "q16"), "cuda has no precision 'q16'; available: q8, f32"),
        (("--teacher", "--prompt-tokens", "1,x"), f"--prompt-tokens is '1,x', must be numbers in 1..1048576 {COMMAS}"),
        (("--teacher", "--prompt-tokens", "0"), f"--prompt-tokens is '0', must be numbers in 1..1048576 {COMMAS}"),
        (("--teacher", "--context", "00000001"), f"--context is '00000001', must be numbers in 0..1048576 {COMMAS}"),
        (("--teacher", "--context", "9999999"), f"--context is '9999999', must be numbers in 0..1048576 {COMMAS}"),
        (("--teacher", "--prompt-tokens", "", "--context", ""), NOTHING),
        (("--teacher", "--repeats", "0"), "--repeats is 0, must be in 1..1048576"),
        (("--teacher", "--new-tokens", "-1"), "--new-tokens is -1, must be in 1..1048576"),
        (("--teacher", "--eager"), "--eager is for --backend cuda"),
        (("--teacher", "--backend", "cuda", "--peer", "python"), "--peer is for the CPU; add --backend cpu"),
        (("--teacher", "--processor-time"), WAITING),
        (("--synthetic", "gpt-5"), f"synthetic model 'gpt-5' is not known; {KNOWN}"),
        (("--teacher", "--backend", "reference", "--threads", "1"), OTHER_BACKEND),
        (("--teacher", "--plot", "speed.gif"), "speed.gif: a plot ends with one of .png, .svg, .pdf"),
        (("no-such-file.gguf",), "no-such-file.gguf: GGUF-F01: cannot open the file: no such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    ended = q4k("bench", *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == f"q4k: {said}\n"


def test_a_missing_gpu_is_exit_code_4() -> None:
    """BackendError: this machine cannot do it."""
    ended = q4k("bench", "--teacher", *SHORT, "--backend", "cuda")
    assert (ended.code, ended.stdout) == (4, "")
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("q4k: backend 'cuda'")


@pytest.mark.parametrize("threads", ["0", "-1", "100000"])
def test_threads_that_cannot_be_are_refused(threads: str) -> None:
    ended = q4k("bench", "--teacher", *SHORT, "--threads", threads)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"q4k: --threads is {threads}, must be in 1..")


def test_peer_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    ended = q4k("bench", "--teacher", "--backend", "reference", *SHORT, "--peer", tmp_path / "python")
    assert (ended.code, ended.stdout) == (4, "")
    assert ended.stderr == f"q4k: peer: cannot start '{tmp_path}/python': no such file or directory\n"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom engine.cli.main import main\nsys.argv = ['q4k', 'bench', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('numpy', 'numba', 'torch', 'matplotlib', 'engine.bench') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--prompt-tokens N,N" in done.stdout
