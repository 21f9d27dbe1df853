"""`q4k inspect` against facts computed here."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import synthetic
from support import tiny_qwen2
from support.q4k import q4k
from support.tiny_qwen2 import CHATML, Shape

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = Shape(hidden=256, ffn=256, layers=1)
    return tiny_qwen2.write_gguf(
        tmp_path_factory.mktemp("inspect") / "mixed.gguf",
        tiny_qwen2.random_tensors(shape),
        tiny_qwen2.metadata(shape),
        type_of=tiny_qwen2.q4_k_m,
    )


def test_json_states_the_identity(mixed: Path):
    ended = q4k("inspect", mixed, "--json", "--sha256", "--tensors", "--stats", "blk.0.*_norm.weight")
    facts = json.loads(ended.stdout)
    assert (ended.stderr, ended.code) == ("", 0)
    assert facts["schema"] == "q4k.inspect/1"
    assert facts["architecture"] == "qwen2"
    assert facts["hyperparameters"]["attention.head_count_kv"] == 2
    assert facts["identity"]["file_sha256"] == hashlib.sha256(mixed.read_bytes()).hexdigest()
    assert facts["identity"]["template_sha256"] == hashlib.sha256(CHATML.encode()).hexdigest()
    assert facts["identity"]["tensor_types"] == {"F32": 6, "Q4_K": 6, "Q6_K": 3}
    assert facts["qkv"] == "split"
    assert len(facts["tensors"]) == 15
    expected = tiny_qwen2.random_tensors(Shape(hidden=256, ffn=256, layers=1))["blk.0.attn_norm.weight"]
    [norm] = [tensor for tensor in facts["stats"] if tensor["name"] == "blk.0.attn_norm.weight"]
    assert norm["first"] == expected[:5].tolist()
    for name, value in (("min", expected.min()), ("max", expected.max()), ("mean", expected.mean())):
        assert norm[name] == pytest.approx(float(value), rel=1e-5)
    assert norm["std"] == pytest.approx(float(expected.std()), rel=1e-4)
    assert (norm["zeros"], norm["not_finite"]) == (0, 0)


def test_page_names_the_facts(mixed: Path):
    ended = q4k("inspect", mixed, "--sha256", "--tensors", "--stats", "output_norm.weight")
    lines = ended.stdout.splitlines()
    assert lines[0] == f"file          mixed.gguf, {mixed.stat().st_size:,} bytes, GGUF v3"
    assert "qkv           split" in lines
    assert f"sha256        {hashlib.sha256(mixed.read_bytes()).hexdigest()}" in lines
    assert any(line.startswith("tensors       Q4_K         6 tensors") for line in lines)
    assert any(line.startswith("blk.0.attn_v.weight") and "Q6_K" in line and "128 x 256" in line for line in lines)
    assert lines[-1].startswith("output_norm.weight: F32 min ")


def test_the_weights_are_read_only_when_asked_for(mixed: Path):
    """A file of 4.7 GB is not to be read for its header."""
    assert "sha256        not computed; --sha256 reads the whole file" in q4k("inspect", mixed).stdout.splitlines()
    assert json.loads(q4k("inspect", mixed, "--json").stdout)["identity"]["file_sha256"] is None


MEASURED = """
import resource, subprocess, sys
program = "from engine.cli.main import main; main()"
done = subprocess.run([sys.executable, "-c", program, *sys.argv[1:]], stdout=subprocess.PIPE)
print(done.returncode, b"block_count = 28" in done.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""The peak of a process counts what it was forked from, so a small one starts it."""


def test_a_model_of_7b_takes_less_than_200_mb() -> None:
    """The shapes and the vocabulary of Qwen2.5 7B, 4.7 GB without a byte on the disk."""
    with synthetic.shapes_only("qwen2.5-7b") as file:
        assert file.size_bytes > 4_600_000_000
        argv = [sys.executable, "-c", MEASURED, "inspect", str(file.path)]
        said = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert said[:2] == ["0", "True"]
    assert int(said[2]) * 1024 < 200e6


def test_fused_qkv_and_values_that_are_not_finite_are_seen(tmp_path: Path):
    tensors = {"blk.0.attn_qkv.weight": np.array([[1, np.nan, 0, np.inf]], np.float32)}
    path = tiny_qwen2.write_gguf(tmp_path / "fused.gguf", tensors, {"general.name": "a\x1b[31m\u202e"})
    ended = q4k("inspect", path, "--stats", "*")
    assert "qkv           fused" in ended.stdout
    assert "min 0 max 1 mean 0.5 std 0.5 zeros 1 not finite 2 first 1 nan 0 inf" in ended.stdout
    assert r"name          a\x1b[31m\u202e" in ended.stdout


def test_pattern_without_a_tensor_is_exit_2(mixed: Path):
    ended = q4k("inspect", mixed, "--stats", "blk.9.*")
    assert ended.stderr == "q4k: mixed.gguf: no tensor matches 'blk.9.*'; --tensors lists them\n"
    assert (ended.stdout, ended.code) == ("", 2)


def test_missing_file_is_exit_2(tmp_path: Path):
    ended = q4k("inspect", tmp_path / "none.gguf")
    assert ended.stderr == "q4k: none.gguf: GGUF-F01: cannot open the file: no such file or directory\n"
    assert (ended.stdout, ended.code) == ("", 2)


def test_model_is_required():
    ended = q4k("inspect")
    assert ended.stderr == "q4k: give either the path of a model or --teacher\n"
    assert ended.code == 2
