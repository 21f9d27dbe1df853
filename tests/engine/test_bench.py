"""The benchmark command runs and reports every figure with its raw samples."""

from __future__ import annotations

import json
import subprocess
import sys


def test_benchmark_reports_all_samples_of_each_figure() -> None:
    command = [sys.executable, "-m", "engine.bench", "--backend", "reference", "--rounds", "1"]
    command += ["--prompt-tokens", "3", "--new-tokens", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert {"processor", "cores", "load_average", "model"} <= set(found["machine"])
    figures = [(sample["figure"], sample["unit"], len(sample["values"])) for sample in found["samples"]]
    assert figures == [("prefill of 3", "tok/s", 1), ("decode of 2", "tok/s", 1), ("first token after 32", "s", 1)]
    assert all(value > 0 for sample in found["samples"] for value in sample["values"])
