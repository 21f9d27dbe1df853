"""The benchmark command runs and reports every figure with its raw samples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engine import synthetic
from engine.bench import Samples, ratios, weight_bytes
from engine.gguf.reader import open_gguf


def test_benchmark_reports_all_samples_of_each_figure() -> None:
    command = [sys.executable, "-m", "engine.bench", "--backend", "reference", "--rounds", "1"]
    command += ["--prompt-tokens", "3", "--new-tokens", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert {"processor", "cores", "load_average", "model"} <= set(found["machine"])
    figures = [(s["figure"], s["unit"], len(s["values"])) for s in found["samples"] if ":" not in s["figure"]]
    assert figures == [
        ("prefill of 3", "tok/s", 1),
        ("decode of 2", "tok/s", 1),
        ("first token after 32", "s", 1),
        ("peak resident", "MB", 1),
    ]
    operations = {s["figure"] for s in found["samples"] if ":" in s["figure"]}
    assert {"prefill: matmul Q4_K", "decode: matmul Q6_K", "decode: attention"} <= operations
    assert all(value > 0 for sample in found["samples"] for value in sample["values"])


def test_ratios_are_taken_within_each_round() -> None:
    samples = [
        Samples("cpu-q8", "decode of 2", "tok/s", (4.0, 9.0)),
        Samples("llama.cpp", "decode of 2", "tok/s", (2.0, 3.0)),
    ]
    assert ratios(samples) == [Samples("cpu-q8", "decode of 2", "x peer", (2.0, 3.0))]


def test_decode_reads_every_matrix_but_an_embedding_that_is_not_the_output(tmp_path: Path) -> None:
    """The 7B as published: 4,680 MB, of which token_embd has 152064 rows of 14 Q4_K blocks."""
    path = synthetic.write("qwen2.5-7b", tmp_path / "m.gguf", sparse=True)
    with open_gguf(path, strict=True) as file:
        matrices = sum(info.size_bytes for info in file.tensors.values() if len(info.shape) == 2)
        assert weight_bytes(file) == matrices - 152_064 * 14 * 144
