"""What products of activations rounded to 8 or 16 bits must be: in float64, from weights read by `block_formats`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.gguf.types import GgmlType
from engine.ops.protocol import Weight
from falsifiers.support import block_formats

F64 = npt.NDArray[np.float64]

STEPS = {"q8": 127.0, "q16": 127.0 * 254 + 126}
"""Steps from 0 to the largest activation of a block."""


@dataclass(frozen=True)
class Format:
    """One type of weights, as `block_formats` reads it."""

    name: str
    read: Any
    weights: int
    """Of a block; also of a block of activations."""
    size: int
    """Bytes of a block."""
    halves: tuple[int, ...]
    """Bytes at which its float16 fields start, d first."""


FORMATS = {
    GgmlType.Q4_K: Format("q4_k", block_formats.q4_k, 256, 144, (0, 2)),
    GgmlType.Q5_K: Format("q5_k", block_formats.q5_k, 256, 176, (0, 2)),
    GgmlType.Q6_K: Format("q6_k", block_formats.q6_k, 256, 210, (208,)),
    GgmlType.Q8_0: Format("q8_0", block_formats.q8_0, 32, 34, (0,)),
    GgmlType.Q5_0: Format("q5_0", block_formats.q5_0, 32, 22, (0,)),
}


def ops(precision: str) -> Any:
    """A new object of the fast operations, with one thread."""
    return import_module("engine.ops.cpu.integer").IntegerOps(precision, 1)


def random_weight(kind: GgmlType, rows: int, columns: int, seed: int) -> tuple[Weight, F64]:
    """Random blocks with scales as of real weights, and their values (rows, columns)."""
    form, rng = FORMATS[kind], np.random.default_rng([seed, int(kind), rows])
    count = rows * columns // form.weights
    raw = rng.integers(0, 256, (count, form.size), dtype=np.uint8)
    for number, at in enumerate(form.halves):
        scale = (rng.uniform(0.5, 1.5, count) * 1e-3 * (8 if number else 1)).astype("<f2")
        raw[:, at : at + 2] = scale.view(np.uint8).reshape(count, 2)
    values = np.array([form.read(block.tobytes()) for block in raw]).reshape(rows, columns)
    return Weight("random", kind, (rows, columns), raw.reshape(rows, -1)), values


def steps(x: npt.NDArray[np.float32], kind: GgmlType, precision: str) -> F64:
    """The step that each activation (T, K) is rounded to: its block's largest over `STEPS`."""
    width = FORMATS[kind].weights
    largest = np.abs(x.reshape(len(x), -1, width)).max(axis=2).astype(np.float64)
    return np.repeat(largest / STEPS[precision], width, axis=1)
