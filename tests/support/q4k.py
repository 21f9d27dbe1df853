"""The command `q4k` as a subprocess, and a model that never stops talking."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from support import tiny_qwen2
from support.tiny_qwen2 import CONTROL, Shape

ROOT = Path(__file__).resolve().parents[2]


def argv(*args: str | Path) -> list[str]:
    """Command line of `q4k` with the interpreter that runs the tests."""
    return [sys.executable, "-c", "from engine.cli.main import main; main()", *map(str, args)]


def environment() -> dict[str, str]:
    """Fixed, so that widths and messages do not depend on who runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": "",  # no GPU, wherever the tests run
    }


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    stdout: str
    stderr: str
    code: int


def q4k(*args: str | Path, stdin: str = "") -> Ended:
    """Run to the end."""
    done = subprocess.run(
        argv(*args), input=stdin, capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    return Ended(done.stdout, done.stderr, done.returncode)


def start(*args: str | Path) -> subprocess.Popen[bytes]:
    """Start with all three streams as pipes."""
    return subprocess.Popen(
        argv(*args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )


def write_endless(path: Path) -> Path:
    """A tiny model of a long context whose end tokens never have the largest logit: their output rows are 0."""
    shape = Shape(context=30_000)
    tensors = tiny_qwen2.random_tensors(shape)
    tokens = tiny_qwen2.vocabulary()[0]
    for name in CONTROL:
        tensors["output.weight"][tokens.index(name)] = np.zeros(shape.hidden)
    return tiny_qwen2.write_gguf(path, tensors, tiny_qwen2.metadata(shape))
