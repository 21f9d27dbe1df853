"""What is done to each token by itself, in jobs whose parts are some of the tokens.

The words of a job are said at its function. Arithmetic and order of sums are those of `engine.ops.cpu.kernels`.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import carray

from engine.errors import ShapeError
from engine.ops.cpu import kernels
from engine.ops.cpu.compiled import callback
from engine.ops.cpu.decode import decode_row
from engine.ops.cpu.llvm import bytes_at, doubles_at, floats_at, integers_at, store_halves
from engine.ops.cpu.runner import JOB, Runner, Words, addresses, parts_of_tokens
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import Rotary, frequencies


@functools.cache
def _embedding_job() -> Any:
    """Words: type, weight, row_bytes, token ids, K, out, T, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        kind, raw_at, row_bytes, ids_at, columns, out_at, tokens, parts = carray(words, 8)
        ids = carray(integers_at(ids_at), (tokens,))
        for token in range(part * tokens // parts, (part + 1) * tokens // parts):
            raw = carray(bytes_at(raw_at + ids[token] * row_bytes), (row_bytes,))
            decode_row(kind, raw, 0, columns, carray(floats_at(out_at + 4 * token * columns), (columns,)), 0)

    return run


@functools.cache
def _add_job() -> Any:
    """Words: x, y, out, T, D, floats from one row of y to the next, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        x_at, y_at, out_at, tokens, size, stride, parts = carray(words, 7)
        for token in range(part * tokens // parts, (part + 1) * tokens // parts):
            x = carray(floats_at(x_at + 4 * token * size), (size,))
            y = carray(floats_at(y_at + 4 * token * stride), (size,))
            out = carray(floats_at(out_at + 4 * token * size), (size,))
            for i in range(size):
                out[i] = x[i] + y[i]

    return run


@functools.cache
def _norm_job() -> Any:
    """Words: x, weight, out, T, D, eps as the bits of a float64, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        x_at, weight_at, out_at, tokens, size, eps, parts = carray(words, 7)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        kernels.rms_norm(
            carray(floats_at(x_at + 4 * first * size), (last - first, size)),
            carray(floats_at(weight_at), (size,)),
            np.float32(np.int64(eps).view(np.float64)),
            carray(floats_at(out_at + 4 * first * size), (last - first, size)),
        )

    return run


@functools.cache
def _angles_job() -> Any:
    """Cosines and sines; words: positions, frequencies, magnitude as the bits of a float64, out (T, 2, Dh/2), T, Dh/2,
    parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        positions_at, frequencies_at, magnitude, out_at, tokens, half, parts = carray(words, 7)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        kernels.angles(
            carray(integers_at(positions_at + 8 * first), (last - first,)),
            carray(doubles_at(frequencies_at), (half,)),
            np.int64(magnitude).view(np.float64),
            carray(floats_at(out_at + 8 * first * half), (last - first, 2, half)),
        )

    return run


@functools.cache
def _turn_job() -> Any:
    """Words: x, angles, out, T, H, Dh, 1 if pairs are adjacent, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        x_at, angles_at, out_at, tokens, heads, size, adjacent, parts = carray(words, 8)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        start, here = 4 * first * heads * size, last - first
        kernels.turn(
            carray(floats_at(x_at + start), (here, heads, size)),
            carray(floats_at(angles_at + 4 * first * size), (here, 2, size // 2)),
            adjacent != 0,
            carray(floats_at(out_at + start), (here, heads, size)),
        )

    return run


@functools.cache
def _append_job() -> Any:
    """Keys and values to their slots; words: k, v, keys, values, positions, T, floats of a token, 1 for float16."""

    @callback(JOB)
    def run(words: Any, _: Any) -> None:
        k_at, v_at, keys_at, values_at, positions_at, tokens, size, halves = carray(words, 8)
        positions = carray(integers_at(positions_at), (tokens,))
        for token in range(tokens):
            for source, target in ((k_at, keys_at), (v_at, values_at)):
                if halves:
                    store_halves(source + 4 * token * size, target + 2 * positions[token] * size, size)
                else:
                    row = carray(floats_at(source + 4 * token * size), (size,))
                    slot = carray(floats_at(target + 4 * positions[token] * size), (size,))
                    for i in range(size):
                        slot[i] = row[i]

    return run


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
    runner.run(_embedding_job().address, words, parts, reads=(ids,), makes=(out,), keeps=(raw,))
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
    runner.run(_add_job().address, words, parts, reads=reads, makes=(out,), keeps=keeps)
    return out


def rms_norm(runner: Runner, x: F32, weight: F32, eps: float) -> F32:
    """Each row of x (T, D), contiguous, divided by its root mean square, times weight (D,)."""
    tokens, size = x.shape
    out = np.empty_like(x)
    parts = parts_of_tokens(runner, tokens, 4 * size)
    words = np.array([*addresses(x, weight, out), tokens, size, _bits(eps), parts], np.int64)
    runner.run(_norm_job().address, words, parts, reads=(x,), makes=(out,), keeps=(weight,))
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
        runner.run(_angles_job().address, words, parts, reads=reads, makes=makes, keeps=(steps,))

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
        runner.run(_turn_job().address, words, parts, reads=(x, self.table), makes=(out,))
        return out


def append_job(k: F32, v: F32, keys: Any, values: Any, positions: I64) -> tuple[int, Words]:
    """Function and words of a job that stores k and v (T, Hkv, Dh) as `KvCache.append` does.

    Args:
        keys: (S, Hkv, Dh) float32 or float16, the cache's own memory.
    """
    halves = keys.dtype == np.float16
    words = np.array([*addresses(k, v, keys, values, positions), len(k), k.size // len(k), halves], np.int64)
    return _append_job().address, words


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))
