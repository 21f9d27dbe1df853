"""Tokens per second of prefill and decode, per backend, and the time to a first token in a new process.

    python -m engine.bench                                   the bundled teacher, backends cpu and reference
    python -m engine.bench --model PATH --backend cpu --json

Every round measures every backend once, in turn, so that a noisy minute touches all of them. All samples are
printed, with the median and the spread (lowest to highest). The tokens are drawn at random: speed does not depend on
them. The first round of a backend is not counted; it compiles or loads its kernels.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from engine.gguf.reader import GgufFile, open_gguf
from engine.llm import teacher_path
from engine.models import Model, load_model
from engine.ops import BACKENDS, load_ops

SEED = 20250907


@dataclass(frozen=True)
class Samples:
    """Raw measurements of one figure, in the order they were taken."""

    backend: str
    figure: str
    unit: str
    values: tuple[float, ...]

    def line(self) -> str:
        raw = " ".join(f"{value:.5g}" for value in self.values)
        spread = f"{min(self.values):.5g} to {max(self.values):.5g}"
        return (
            f"{self.backend:10} {self.figure:24} median {statistics.median(self.values):9.5g} {self.unit:6}"
            f" spread {spread:20} samples {raw}"
        )


def measure(model: Model, *, prompt_tokens: int, new_tokens: int) -> tuple[float, float]:
    """Prefill and decode speed of one run, in tokens per second; greedy, from an empty cache."""
    ids = np.random.default_rng(SEED).integers(0, model.config.vocab_size, prompt_tokens, dtype=np.int64)
    cache = model.new_cache()
    start = time.perf_counter()
    logits = model.forward(ids, cache, last_only=True)
    prefilled = time.perf_counter()
    for _ in range(new_tokens):
        logits = model.forward([int(logits[-1].argmax())], cache, last_only=True)
    end = time.perf_counter()
    return prompt_tokens / (prefilled - start), new_tokens / (end - prefilled)


def throughput(file: GgufFile, backends: Sequence[str], *, rounds: int, prompt: int, new: int) -> list[Samples]:
    """Prefill and decode samples of every backend."""
    models = {backend: load_model(file, load_ops(backend)) for backend in backends}
    prefill: dict[str, list[float]] = {backend: [] for backend in backends}
    decode: dict[str, list[float]] = {backend: [] for backend in backends}
    for number in range(rounds + 1):
        for backend, model in models.items():
            found = measure(model, prompt_tokens=prompt, new_tokens=new)
            if number:
                prefill[backend].append(found[0])
                decode[backend].append(found[1])
    return [
        Samples(backend, figure, "tok/s", tuple(values[backend]))
        for backend in backends
        for figure, values in ((f"prefill of {prompt}", prefill), (f"decode of {new}", decode))
    ]


def first_token(path: Path, backend: str, *, rounds: int, prompt: int) -> Samples:
    """Seconds from starting a Python process to its first token; the first process may compile and is not counted."""
    command = [sys.executable, "-m", "engine.bench", "--model", str(path), "--backend", backend]
    command += ["--prompt-tokens", str(prompt), "--one-token"]
    values = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        values.append(time.perf_counter() - start)
    return Samples(backend, f"first token after {prompt}", "s", tuple(values[1:]))


def machine() -> dict[str, object]:
    """What the figures depend on."""
    load = os.getloadavg()[0]
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(load, 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m engine.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, help="GGUF file; default the bundled teacher")
    parser.add_argument("--backend", action="append", choices=sorted(BACKENDS), help="default: cpu and reference")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="one JSON object with all samples")
    parser.add_argument("--one-token", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = options.model or teacher_path()
    backends = options.backend or ["cpu", "reference"]
    with open_gguf(path) as file:
        if options.one_token:
            measure(load_model(file, load_ops(backends[0])), prompt_tokens=options.prompt_tokens, new_tokens=0)
            return
        found = throughput(file, backends, rounds=options.rounds, prompt=options.prompt_tokens, new=options.new_tokens)
        found += [first_token(path, backend, rounds=options.rounds, prompt=32) for backend in backends]
        facts = {**machine(), "model": path.name, "size_bytes": file.size_bytes}
    if options.json:
        print(json.dumps({"machine": facts, "samples": [asdict(samples) for samples in found]}))
        return
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    for samples in found:
        print(samples.line())


if __name__ == "__main__":
    main()
