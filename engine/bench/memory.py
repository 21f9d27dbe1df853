"""Peak memory of asking a model: a process of its own per precision, beside what the file's size allows.

    python -m engine.bench.memory FILE... [--precision f32,q8] [--prompt 512] [--threads N]

Each process loads the model as `q4k run` does, tokenizer and template included, encodes a text, runs a prompt and
decodes 8 tokens.
Printed are the sizes of file and KV cache, the most bytes that were ever resident (VmHWM, mapped files included), and
the ratio of what is resident besides the KV cache to the file. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from engine.bench.process import DECODED, answer, peak_bytes

LIMIT = 1.15
"""Peak without KV cache over the file's size: the project's own limit."""


def measure(path: Path, precision: str, *, prompt: int, threads: int | None) -> dict[str, int]:
    """The figures of this process: call it once, first."""
    from engine.llm import Llm

    before = peak_bytes()
    with Llm.load(path, precision=precision, threads=threads) as llm:
        llm.tokenizer.encode(__doc__, special=False)
        answer(llm, prompt, DECODED)
        return {
            "file_bytes": path.stat().st_size,
            "kv_bytes": llm.kv_cache.size_bytes,
            "peak_bytes": peak_bytes(),
            "python_bytes": before,
        }


def ratio(found: dict[str, int]) -> float:
    """Peak without KV cache over the file's size."""
    return (found["peak_bytes"] - found["kv_bytes"]) / found["file_bytes"]


def in_own_process(path: Path, precision: str, *, prompt: int, threads: int | None) -> dict[str, int]:
    """`measure` in a new process.

    Raises:
        subprocess.CalledProcessError: it failed; what it said is on stderr.
    """
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "engine.bench.memory", "--here", str(path)]
    command += ["--precision", precision, "--prompt", str(prompt)]
    command += [] if threads is None else ["--threads", str(threads)]
    found: dict[str, int] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    """Print a line per file and precision."""
    parser = argparse.ArgumentParser(prog="python -m engine.bench.memory")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--precision", default="f32,q8")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        found = measure(asked.files[0], asked.precision, prompt=asked.prompt, threads=asked.threads)
        sys.stdout.write(json.dumps(found))
        return
    sys.stdout.write(f"{'file':24} {'':4} {'file MB':>8} {'KV MB':>7} {'peak MB':>8} {'ratio':>6}  limit {LIMIT}\n")
    for path in asked.files:
        for precision in asked.precision.split(","):
            found = in_own_process(path, precision, prompt=asked.prompt, threads=asked.threads)
            sizes = [found[name] / 1e6 for name in ("file_bytes", "kv_bytes", "peak_bytes")]
            line = f"{path.name:24} {precision:4} {sizes[0]:8.1f} {sizes[1]:7.1f} {sizes[2]:8.1f} {ratio(found):6.3f}\n"
            sys.stdout.write(line)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
