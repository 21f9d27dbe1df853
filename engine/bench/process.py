"""Figures of a process of its own: time to its first token, and the most memory it ever held. For the CPU.

    python -m engine.bench.process FILE BACKEND PRECISION THREADS|- TOKENS NEW

is such a process: it loads the model as `q4k run` does, tokenizer and template included, runs a prompt, decodes some
tokens and prints its peak of resident bytes, mapped files included.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bench.figure import Samples
from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.llm import Llm

PROMPT_TOKENS = 32
DECODED = 8


@dataclass(frozen=True, slots=True)
class StartUp:
    """Of one subject."""

    subject: str
    prompt_tokens: int
    first_token: Samples
    """Seconds from starting Python to the first token."""
    peak_bytes: int


def start_up(path: Path, backend: str, precision: str, threads: int | None, *, prompt: int, rounds: int) -> StartUp:
    """Start some processes; the first of them may compile and is not counted.

    Args:
        prompt: tokens of the prompt behind which the peak is read; that of the first token has `PROMPT_TOKENS`.

    Raises:
        EngineError: a process failed.
    """
    command = [sys.executable, "-m", __name__, str(path), backend, precision, str(threads or "-")]
    values = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        _run([*command, str(PROMPT_TOKENS), "0"])
        values.append(time.perf_counter() - start)
    peak = int(_run([*command, str(prompt), str(DECODED)]))
    return StartUp(f"{backend} {precision}", PROMPT_TOKENS, Samples(tuple(values[1:])), peak)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise EngineError(f"start-up: a process of its own failed: {reason[0]}")
    return done.stdout


def peak_bytes() -> int:
    """Most bytes that were resident in this process; getrusage would add the parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def answer(llm: Llm, tokens: int, new: int) -> None:
    """Run a prompt of so many tokens, and decode."""
    from engine.bench import subject
    from engine.generate import prefill

    ids: Any = subject.prompt(llm.model, tokens)
    logits = prefill(llm.model, ids, llm.kv_cache)
    for _ in range(new):
        logits = llm.model.forward([int(logits[-1].argmax())], llm.kv_cache)


def main() -> None:
    """The process itself."""
    from engine.llm import Llm

    path, backend, precision, threads, tokens, new = sys.argv[1:]
    count = None if threads == "-" else int(threads)
    with Llm.load(path, backend=backend, precision=precision, threads=count) as llm:
        answer(llm, int(tokens), int(new))
        sys.stdout.write(f"{peak_bytes()}\n")


if __name__ == "__main__":
    main()
