"""`q4k trace` from outside: table, JSON, file, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from engine import trace
from engine.llm import Llm
from support import tiny_qwen2
from support.q4k import q4k, start

BACKEND = "q4k: backend reference (float32, "


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("cli") / "tiny.gguf")


@pytest.fixture(scope="module")
def seen(tiny: Path) -> trace.Recorder:
    recorder = trace.Recorder()
    with Llm.load(tiny, backend="reference") as llm:
        llm.logits(llm.prompt_ids("hi"), tap=recorder)
    return recorder


def test_table_has_every_place_and_fits_80_columns(tiny: Path, seen: trace.Recorder):
    ended = q4k("trace", tiny, "--prompt", "hi", "--backend", "reference")
    lines = ended.stdout.splitlines()
    assert lines[0] == "13 prompt tokens"
    rows = lines[2 : 2 + 3 + 2 * 20]
    names = ["embedding", *(name for _ in range(2) for name in trace.LAYER_TAPS), "final_norm", "logits"]
    assert [row[3:16].strip() for row in rows] == names
    for row, (name, layer) in ((rows[0], ("embedding", None)), (rows[21], ("attn_norm", 1))):
        array = seen.tokens(name, layer).astype(np.float64)
        expected = [array.mean(), array.std(), array.min(), array.max(), *array[0, :3]]
        assert [float(figure) for figure in row[16:].split()] == pytest.approx(expected, rel=1e-2, abs=1e-4)
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "no outlier channels: none has 6 times the rms of the median channel"
    assert ended.stderr.startswith(BACKEND)
    assert ended.code == 0


def test_json_and_file_of_chosen_places(tiny: Path, seen: trace.Recorder, tmp_path: Path):
    path = tmp_path / "t.safetensors"
    flags = ["--layers", "1", "--taps", "q_rope,scores,logits", "--save", path, "--json"]
    ended = q4k("trace", tiny, "-p", "hi", "--backend", "reference", *flags)
    page = json.loads(ended.stdout)
    assert (page["schema"], page["prompt_tokens"], page["record"]["backend"]) == ("q4k.trace/1", 13, "reference")
    assert [(tap["name"], tap["layer"], tap["shape"]) for tap in page["taps"]] == [
        ("q_rope", 1, [13, 4, 8]),
        ("scores", 1, [13, 4, 13]),
        ("logits", None, [13, 403]),
    ]
    tensors = load_file(path)
    assert sorted(tensors) == ["layers.1.q_rope", "layers.1.scores", "logits"]
    np.testing.assert_array_equal(tensors["layers.1.q_rope"], seen.tokens("q_rope", 1))
    np.testing.assert_array_equal(tensors["logits"], seen.tokens("logits"))
    assert page["taps"][2]["max"] == tensors["logits"].max()
    assert ended.stderr.endswith("q4k: t.safetensors written\n")
    assert [child.name for child in tmp_path.iterdir()] == ["t.safetensors"]


@pytest.mark.parametrize("flags", [[], ["--precision", "q8"]], ids=["f32", "q8"])
def test_an_outlier_channel_is_named_on_the_cpu(tmp_path: Path, flags: list[str]):
    """Channel 5 of the norm is 26 times the others: the outlier that 8-bit activations once lost a model to."""
    tensors = tiny_qwen2.random_tensors(tiny_qwen2.Shape())
    tensors["blk.0.attn_norm.weight"][:] = 1
    tensors["token_embd.weight"] = np.sign(tensors["token_embd.weight"])
    tensors["blk.0.attn_norm.weight"][5] = 26
    path = tiny_qwen2.write_gguf(tmp_path / "outlier.gguf", tensors, tiny_qwen2.metadata(tiny_qwen2.Shape()))
    ended = q4k("trace", path, "-p", "hi", "--layers", "0-0", "--taps", "attn_norm", *flags)
    assert ended.stdout.splitlines()[-2:] == [
        "outlier channels, by their rms over that of the median channel:",
        " 0 attn_norm     5 x26",
    ]


def test_values_that_are_not_finite_are_shown(tmp_path: Path):
    tensors = tiny_qwen2.random_tensors(tiny_qwen2.Shape())
    tensors["blk.1.attn_norm.weight"][:] = 3e38  # finite, its products are not
    path = tiny_qwen2.write_gguf(tmp_path / "nan.gguf", tensors, tiny_qwen2.metadata(tiny_qwen2.Shape()))
    flags = ["--backend", "reference", "--taps", "final_norm", "--save", tmp_path / "t.safetensors"]
    ended = q4k("trace", path, "-p", "hi", *flags)
    assert "   416 of 416 values are not finite" in ended.stdout.splitlines()
    assert "q4k: warning: 416 saved values are not finite; a comparison will refuse them\n" in ended.stderr
    page = json.loads(q4k("trace", path, "-p", "hi", *flags, "--json").stdout)
    assert (page["taps"][0]["mean"], page["taps"][0]["not_finite"]) == ("nan", 416)
    assert ended.code == 0


USAGE = {
    "place": (["--taps", "qq"], r"--taps: no such place 'qq'; available: embedding, attn_norm, q, .*, logits"),
    "option": (["--tap", "q"], r"no such option: --tap .*--taps.* \(see q4k trace --help\)"),
    "layer": (["--layers", "0,2"], r"--layers: 2 is not in 0\.\.1, the layers of this model"),
    "range": (["--layers", "1-0"], r"--layers: 1-0 is not in 0\.\.1, the layers of this model"),
    "layers": (["--layers", "x"], r"--layers is 'x', must be numbers or ranges such as 0,3-5"),
    "steps": (["--steps", "-1"], r"--steps is -1, must be >= 0"),
    "name": (["--save", "t.npz"], r"--save is 't\.npz', must be the name of a \*\.safetensors file"),
    "folder": (["--save", "no/t.safetensors"], r"--save: 't\.safetensors' cannot be written: its folder must exist.*"),
    "precision": (["--precision", "q8"], r"backend reference has no precision 'q8'; available: f32"),
}


@pytest.mark.parametrize(("flags", "message"), USAGE.values(), ids=USAGE)
def test_wrong_usage_is_one_line_and_exit_2(tiny: Path, flags: list[str], message: str):
    ended = q4k("trace", tiny, "-p", "hi", "--backend", "reference", *flags)
    assert re.fullmatch(f"q4k: {message}\n", ended.stderr)
    assert (ended.stdout, ended.code) == ("", 2)


def test_a_prompt_beyond_the_context_leaves_no_file(tiny: Path, tmp_path: Path):
    flags = ["--backend", "reference", "--steps", "120", "--save", tmp_path / "t.safetensors"]
    ended = q4k("trace", tiny, "-p", "hi", *flags)
    assert ended.stderr.splitlines()[1:] == ["q4k: 133 tokens are more than the context of 128 holds"]
    assert (ended.stdout, ended.code, list(tmp_path.iterdir())) == ("", 2, [])


def test_gpu_that_is_not_there_is_exit_4(tiny: Path):
    ended = q4k("trace", tiny, "-p", "hi", "--gpu")
    assert re.fullmatch(r"q4k: backend 'cuda'.+\n", ended.stderr)
    assert (ended.stdout, ended.code) == ("", 4)


def test_closed_pipe_ends_quietly(tiny: Path):
    """As in `q4k trace ... | head -c 1` where the page is longer than a pipe holds."""
    process = start("trace", tiny, "-p", "hi " * 30, "--raw", "--backend", "reference", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    stderr = process.stderr.read().decode()
    assert process.wait(timeout=30) == 141
    assert stderr.startswith(BACKEND)
    assert len(stderr.splitlines()) == 1
