"""What is done to each token by itself, in jobs whose parts are some of the tokens.

Their words are said in `engine.ops.cpu.kernels.rows`, arithmetic and order of sums in `floats` beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ShapeError
from engine.ops.cpu.machine_code import kernel
from engine.ops.cpu.runner import Runner, Words, addresses, parts_of_tokens
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import Rotary, frequencies


def embedding(runner: Runner, weight: Weight, token_ids: I64) -> F32:
    """Rows of a weight of a type in `engine.ops.cpu.floats.KERNEL_TYPES`, decoded: (T, K).

    Raises:
        ShapeError: a token id outside the vocabulary.
    """
    rows, columns = weight.shape
    weight.check_rows(token_ids)
    ids, raw = np.ascontiguousarray(token_ids, np.int64), np.ascontiguousarray(weight.data)
    out = np.empty((len(ids), columns), np.float32)
    parts = parts_of_tokens(runner, len(ids), columns)
    sizes = (int(weight.type), raw.ctypes.data, raw.nbytes // max(1, rows), ids.ctypes.data, columns)
    words = np.array([*sizes, out.ctypes.data, len(ids), parts], np.int64)
    runner.run(kernel("embedding"), words, parts, reads=(ids,), makes=(out,), keeps=(raw,))
    return out


def add(runner: Runner, x: F32, y: F32) -> F32:
    """x (T, D) plus y, (T, D) or the same (D,) for every token; x and y are contiguous.

    Raises:
        ShapeError: other shapes.
    """
    if y.shape not in (x.shape, x.shape[-1:]):
        raise ShapeError(f"add: {x.shape} and {y.shape}")
    same = y.ndim == x.ndim
    tokens, size = x.shape[0], x.size // max(1, x.shape[0])
    out = np.empty_like(x)
    parts = parts_of_tokens(runner, tokens, size)
    words = np.array([*addresses(x, y, out), tokens, size, size if same else 0, parts], np.int64)
    reads, keeps = ((x, y), ()) if same else ((x,), (y,))
    runner.run(kernel("add"), words, parts, reads=reads, makes=(out,), keeps=keeps)
    return out


def rms_norm(runner: Runner, x: F32, weight: F32, eps: float) -> F32:
    """Each row of x (T, D), contiguous, divided by its root mean square, times weight (D,)."""
    tokens, size = x.shape
    out = np.empty_like(x)
    parts = parts_of_tokens(runner, tokens, 4 * size)
    words = np.array([*addresses(x, weight, out), tokens, size, _bits(eps), parts], np.int64)
    runner.run(kernel("norm"), words, parts, reads=(x,), makes=(out,), keeps=(weight,))
    return out


def check_rope(x: F32, positions: I64) -> None:
    """Raises:
    ShapeError: the heads of x (T, H, Dh) have no pairs, or positions does not have T entries.
    """
    tokens, _, head_dim = x.shape
    if head_dim % 2 or positions.shape != (tokens,):
        raise ShapeError(f"rope: head dim {head_dim} must be even and positions {positions.shape} be ({tokens},)")


class Angles:
    """Cosines and sines of the positions of a forward: all its layers turn by the same."""

    def __init__(self, runner: Runner, positions: I64, head_dim: int, theta: float, rotary: Rotary) -> None:
        """Raises:
        ShapeError: the rotary's factors are for another Dh.
        """
        self.positions, self.rotary = np.ascontiguousarray(positions), rotary
        self._head_dim, self._theta = head_dim, theta
        steps = frequencies(head_dim, theta, rotary)
        tokens = len(positions)
        self.table = np.empty((tokens, 2, head_dim // 2), np.float32)
        parts = parts_of_tokens(runner, tokens, 16 * head_dim)
        positions_at, steps_at, table_at = addresses(self.positions, steps, self.table)
        sizes = (tokens, head_dim // 2, parts)
        words = np.array([positions_at, steps_at, _bits(rotary.magnitude), table_at, *sizes], np.int64)
        reads, makes = (self.positions,), (self.table,)
        runner.run(kernel("angles"), words, parts, reads=reads, makes=makes, keeps=(steps,))

    def fits(self, positions: I64, head_dim: int, theta: float, rotary: Rotary) -> bool:
        """Whether they are those of these positions and this model."""
        of = (self._head_dim, self._theta, self.rotary)
        return of == (head_dim, theta, rotary) and np.array_equal(self.positions, positions)

    def turn(self, runner: Runner, x: F32) -> F32:
        """The pairs of x (T, H, Dh), contiguous, turned."""
        tokens, heads, size = x.shape
        out = np.empty_like(x)
        parts = parts_of_tokens(runner, tokens, heads * size)
        words = np.array([*addresses(x, self.table, out), tokens, heads, size, self.rotary.adjacent, parts], np.int64)
        runner.run(kernel("turn"), words, parts, reads=(x, self.table), makes=(out,))
        return out


def append_job(k: F32, v: F32, keys: Any, values: Any, positions: I64) -> tuple[int, Words]:
    """Function and words of a job that stores k and v (T, Hkv, Dh) as `KvCache.append` does.

    Args:
        keys: (S, Hkv, Dh) float32 or float16, the cache's own memory.
    """
    halves = keys.dtype == np.float16
    words = np.array([*addresses(k, v, keys, values, positions), len(k), k.size // len(k), halves], np.int64)
    return kernel("append"), words


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))
