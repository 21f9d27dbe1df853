"""Tokens per second of prefill and decode, per backend and precision, beside llama.cpp where it is at hand.

    python -m engine.bench                                   the bundled teacher, backends cpu and reference
    python -m engine.bench --synthetic qwen2.5-0.5b --backend cpu-q8 --prompt-tokens 128 --prompt-tokens 512
    python -m engine.bench --synthetic qwen2.5-0.5b --peer build/llama-venv/bin/python --json

Every round measures every backend once, in turn, so that a noisy minute touches all of them. All samples are
printed, with the median and the spread (lowest to highest); a ratio to the peer is the median of the ratios within
each round. The tokens are drawn at random: speed does not depend on them. The first round of a backend is not
counted; it compiles or loads its kernels and rearranges the weights.

On a machine that other work keeps busy, `--processor-time --threads 1` counts the processor time of the process
instead of the clock on the wall. With more threads that would count their waiting too.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from engine import synthetic
from engine.gguf.reader import GgufFile, open_gguf
from engine.llm import teacher_path
from engine.models import Model, load_model
from engine.ops import Ops, load_ops
from engine.ops.protocol import Weight

SEED = 20250907
BACKENDS = ("cpu", "cpu-q16", "cpu-q8", "reference")
"""A backend of `engine.ops`, or cpu with one of its precisions."""

PEER = Path(__file__).parent.parent / "tests/bench/llama_cpp/peer.py"
_PEER_NAME = "llama.cpp"


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


class Timed:
    """Operations that note how long each of them took; products also by type of weight."""

    def __init__(self, ops: Ops) -> None:
        self._ops = ops
        self.seconds: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ops, name)
        if not callable(found) or name == "threads":
            return found

        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = found(*arguments, **named)
            elapsed = time.perf_counter() - start
            weights = [argument.type.name for argument in arguments if isinstance(argument, Weight)]
            key = " ".join([name, *weights])
            self.seconds[key] = self.seconds.get(key, 0.0) + elapsed
            return result

        return timed


class Peer:
    """llama.cpp in a process of its own, asked line by line."""

    def __init__(self, python: str, path: Path, *, threads: int, context: int, clock: Clock) -> None:
        command = [python, str(PEER), str(path), str(threads), str(context), clock.__name__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.facts = self._answer()
        self.peak_bytes = 0

    def measure(self, *, prompt_tokens: int, new_tokens: int) -> tuple[float, float]:
        """As `measure`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"prompt": prompt_tokens, "new": new_tokens}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.peak_bytes = max(self.peak_bytes, answer["peak_bytes"])
        return prompt_tokens / answer["prefill_s"], new_tokens / answer["decode_s"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(
                f"{PEER.name} ended with exit status {self._process.wait()}; is llama_cpp installed there?"
            )
        return cast("dict[str, Any]", json.loads(line))


def operations(backend: str, threads: int | None, share: Ops | None = None) -> Ops:
    """The operations of one entry of `BACKENDS`; integer precisions share their weights with those in `share`."""
    name, _, precision = backend.partition("-")
    if not precision and threads is None:
        return load_ops(name)
    from engine.ops.cpu.integer import IntegerOps
    from engine.ops.cpu.precisions import ops_for

    if name != "cpu":
        return load_ops(name)
    if precision and isinstance(share, IntegerOps):
        return IntegerOps(precision, threads, share=share)
    return ops_for(precision or "f32", threads)


Clock = Callable[[], float]


def measure(
    model: Model, *, prompt_tokens: int, new_tokens: int, clock: Clock = time.perf_counter
) -> tuple[float, float]:
    """Prefill and decode speed of one run, in tokens per second; greedy, from an empty cache."""
    ids = np.random.default_rng(SEED).integers(0, model.config.vocab_size, prompt_tokens, dtype=np.int64)
    cache = model.new_cache()
    start = clock()
    logits = model.forward(ids, cache, last_only=True)
    prefilled = clock()
    for _ in range(new_tokens):
        logits = model.forward([int(logits[-1].argmax())], cache, last_only=True)
    end = clock()
    return prompt_tokens / (prefilled - start), new_tokens / (end - prefilled)


def throughput(
    model: Model,
    contestants: Mapping[str, Ops],
    peer: Peer | None,
    *,
    rounds: int,
    prompts: Sequence[int],
    new: int,
    clock: Clock = time.perf_counter,
) -> list[Samples]:
    """Prefill samples for each length of prompt, and decode samples behind the first, of every contestant."""
    runs: dict[str, Callable[..., tuple[float, float]]] = {}

    def ours(ops: Ops) -> Callable[..., tuple[float, float]]:
        def run(**sizes: int) -> tuple[float, float]:
            model.ops = ops
            return measure(model, clock=clock, **sizes)

        return run

    for name, ops in contestants.items():
        runs[name] = ours(ops)
    if peer:
        runs[_PEER_NAME] = peer.measure
    figures = [f"prefill of {prompt}" for prompt in prompts] + [f"decode of {new}"]
    found: dict[str, dict[str, list[float]]] = {name: {figure: [] for figure in figures} for name in runs}
    for number in range(rounds + 1):
        for index, prompt in enumerate(prompts):
            for name, run in runs.items():
                prefill, decode = run(prompt_tokens=prompt, new_tokens=0 if index else new)
                if number:
                    found[name][figures[index]].append(prefill)
                    if not index:
                        found[name][figures[-1]].append(decode)
    return [Samples(name, figure, "tok/s", tuple(found[name][figure])) for name in runs for figure in figures]


def ratios(samples: Sequence[Samples]) -> list[Samples]:
    """Every figure over the peer's, round by round."""
    peers = {sample.figure: sample for sample in samples if sample.backend == _PEER_NAME}
    return [
        Samples(s.backend, s.figure, "x peer", tuple(a / b for a, b in zip(s.values, p.values, strict=True)))
        for s in samples
        if s.backend != _PEER_NAME and (p := peers.get(s.figure))
    ]


def breakdown(model: Model, contestants: Mapping[str, Ops], *, prompt: int, new: int) -> list[Samples]:
    """Seconds per operation of one more run, which counts nowhere else: the whole prompt, and one decoded token."""
    found = []
    for name, ops in contestants.items():
        for figure, prompt_tokens, new_tokens in (("prefill", prompt, 0), ("decode", 1, new)):
            timed = Timed(ops)
            model.ops = cast("Ops", timed)
            measure(model, prompt_tokens=prompt_tokens, new_tokens=new_tokens)
            for operation, seconds in sorted(timed.seconds.items(), key=lambda pair: -pair[1]):
                per = 1e3 / max(1, new_tokens)
                found.append(Samples(name, f"{figure}: {operation}", "ms", (seconds * per,)))
        model.ops = ops
    return found


def weight_bytes(file: GgufFile) -> int:
    """Bytes of weights that one decoded token reads: every matrix, the embedding only where it is the output."""
    tied = "output.weight" not in file.tensors
    return sum(
        info.size_bytes
        for info in file.tensors.values()
        if len(info.shape) == 2 and (tied or info.name != "token_embd.weight")
    )


def reading(samples: Sequence[Samples], read_bytes: int, bandwidth: Sequence[float]) -> list[Samples]:
    """Bytes of weights per second of decode, and their share of the measured read bandwidth."""
    ceiling = statistics.median(bandwidth)
    found = [Samples("machine", "read bandwidth", "GB/s", tuple(value / 1e9 for value in bandwidth))]
    for sample in samples:
        if sample.figure.startswith("decode"):
            speeds = [value * read_bytes for value in sample.values]
            found.append(Samples(sample.backend, "decode reads", "GB/s", tuple(speed / 1e9 for speed in speeds)))
            share = tuple(100 * speed / ceiling for speed in speeds)
            found.append(Samples(sample.backend, "share of the bandwidth", "%", share))
    return found


def _child(path: Path, backend: str, threads: int | None, flag: str, prompt: int) -> list[str]:
    command = [sys.executable, "-m", "engine.bench", "--model", str(path), "--backend", backend]
    command += ["--prompt-tokens", str(prompt), flag]
    return command if threads is None else [*command, "--threads", str(threads)]


def first_token(path: Path, backend: str, threads: int | None, *, rounds: int, prompt: int) -> Samples:
    """Seconds from starting a Python process to its first token; the first process may compile and is not counted."""
    values = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run(_child(path, backend, threads, "--one-token", prompt), check=True, stdout=subprocess.DEVNULL)
        values.append(time.perf_counter() - start)
    return Samples(backend, f"first token after {prompt}", "s", tuple(values[1:]))


def peak(path: Path, backend: str, threads: int | None, *, prompt: int) -> Samples:
    """Most bytes resident in a process of its own that runs a prompt and decodes some tokens."""
    done = subprocess.run(_child(path, backend, threads, "--peak", prompt), check=True, capture_output=True, text=True)
    return Samples(backend, "peak resident", "MB", (int(done.stdout) / 1e6,))


def peak_bytes() -> int:
    """Most bytes that were resident in this process, mapped files included; getrusage would add the parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.bench", description=(__doc__ or "").partition("\n")[0])
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", type=Path, help="GGUF file; default the bundled teacher")
    model.add_argument("--synthetic", choices=list(synthetic.SHAPES), help="random weights, written to build/ once")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="default: cpu and reference")
    parser.add_argument("--threads", type=int, help="default: one per core")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, action="append", help="may be repeated; default 128")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with llama_cpp, measured in the same rounds")
    parser.add_argument("--processor-time", action="store_true", help="instead of wall time; for one thread")
    parser.add_argument("--json", action="store_true", help="one JSON object with all samples")
    parser.add_argument("--one-token", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.processor_time and options.threads != 1:
        parser.error("--processor-time needs --threads 1: waiting threads would be counted too")
    return options


def _path(options: argparse.Namespace) -> Path:
    if not options.synthetic:
        return options.model or teacher_path()
    path = Path("build") / f"{options.synthetic}.gguf"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        synthetic.write(options.synthetic, path)
    return path


def _run(options: argparse.Namespace, path: Path, file: GgufFile) -> tuple[dict[str, object], list[Samples]]:
    """Facts and all samples."""
    backends, threads = options.backend or ["cpu", "reference"], options.threads
    prompts, rounds, new = options.prompt_tokens or [128], options.rounds, options.new_tokens
    facts: dict[str, object] = {**machine(), "model": path.name, "size_bytes": file.size_bytes}
    clock = time.process_time if options.processor_time else time.perf_counter
    facts["clock"] = clock.__name__
    contestants: dict[str, Ops] = {}
    integer = None
    for backend in backends:
        contestants[backend] = operations(backend, threads, integer)
        if "-" in backend:
            integer = contestants[backend]
    model = load_model(file, next(iter(contestants.values())))
    count = max(ops.threads() for ops in contestants.values())
    facts["threads"] = {name: ops.threads() for name, ops in contestants.items()}
    facts["isa"] = {name: ops.isa.label for name, ops in contestants.items() if hasattr(ops, "isa")}
    peer = None
    if options.peer:
        peer = Peer(options.peer, path, threads=threads or count, context=max(prompts) + new + 8, clock=clock)
        facts["peer"] = peer.facts
    found = throughput(model, contestants, peer, rounds=rounds, prompts=prompts, new=new, clock=clock)
    found += ratios(found)
    if any(backend.startswith("cpu") for backend in backends):
        from engine.ops.cpu.bandwidth import read_bandwidth

        found += reading(found[: -len(ratios(found)) or None], weight_bytes(file), read_bandwidth(threads or count))
    found += breakdown(model, contestants, prompt=prompts[0], new=min(new, 8))
    if peer:
        found.append(Samples(_PEER_NAME, "peak resident", "MB", (peer.peak_bytes / 1e6,)))
        peer.close()
    contestants.clear()
    found += [first_token(path, backend, threads, rounds=min(rounds, 5), prompt=32) for backend in backends]
    found += [peak(path, backend, threads, prompt=prompts[0]) for backend in backends]
    return facts, found


def main() -> None:
    """Measure and print."""
    options = _options()
    path = _path(options)
    with open_gguf(path) as file:
        if options.one_token or options.peak:
            model = load_model(file, operations(options.backend[0], options.threads))
            measure(model, prompt_tokens=options.prompt_tokens[0], new_tokens=8 if options.peak else 0)
            if options.peak:
                print(peak_bytes())
            return
        facts, found = _run(options, path, file)
    if options.json:
        print(json.dumps({"machine": facts, "samples": [asdict(samples) for samples in found]}))
        return
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    for samples in found:
        print(samples.line())


if __name__ == "__main__":
    main()
