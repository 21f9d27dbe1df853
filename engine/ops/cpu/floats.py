"""Products and attention in float32, shared among the threads of a pool; see `kernels.floats` and `queries`."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import quant
from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops.cpu import queries
from engine.ops.cpu.isa import available
from engine.ops.cpu.machine_code import kernel
from engine.ops.cpu.queries import Cut
from engine.ops.cpu.runner import Runner
from engine.ops.cpu.shapes import NO_WINDOW
from engine.ops.protocol import F32, I64, Weight

KERNEL_TYPES = frozenset(
    {
        *(GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q5_0, GgmlType.Q8_0),
        *(GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K),
    }
)
"""Types that are read in place; others are decoded by numpy, slice by slice."""

ATTENTION = [kernel for halves in (False, True) for kernel in queries.kernels(available()[-1], halves=halves)]
"""Kernels of `attention`."""

_PARTS_PER_THREAD = 8
# A part of a job is at least 10 us of work.
_PART_NS = 10_000
# Multiply-adds per nanosecond of one thread; decoding a weight takes as long as 4 of them.
_PER_NS = 32
_DECODE_COST = 4
# 2^20 decoded weights are 4 MiB: small beside any model, large enough that the slice's overhead does not show.
_DECODED_AT_ONCE = 1 << 20


def matmul(runner: Runner, x: F32, weight: Weight) -> F32:
    """x (T, K) times the transpose of `weight` (N, K): (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    rows, columns = weight.shape
    tokens = x.shape[0]
    if x.shape[1] != columns:
        raise ShapeError(f"{weight.name}: rows have {columns} weights, the activation has {x.shape[1]} values")
    if weight.type in KERNEL_TYPES:
        return _product(runner, x, weight.type, weight.data, rows)
    out = np.empty((tokens, rows), np.float32)
    step = max(1, _DECODED_AT_ONCE // columns)
    for start in range(0, rows, step):
        # numpy's own product would start the threads of BLAS beside those of the pool
        decoded = np.ascontiguousarray(quant.decode(weight.type, weight.data[start : start + step]))
        out[:, start : start + step] = _product(runner, x, GgmlType.F32, decoded, len(decoded))
    return out


def _product(runner: Runner, x: F32, kind: GgmlType, data: Any, rows: int) -> F32:
    tokens, columns = x.shape
    out = np.empty((tokens, rows), np.float32)
    if out.size == 0:
        return out
    flat, packed = np.ascontiguousarray(x), np.ascontiguousarray(data)
    parts = parts_of(runner, rows * columns * (tokens + _DECODE_COST) // _PER_NS, rows)
    places = (int(kind), packed.ctypes.data, packed.nbytes // rows, flat.ctypes.data)
    words = np.array([*places, tokens, columns, out.ctypes.data, rows, parts], np.int64)
    runner.run(kernel("float_product"), words, parts, reads=(flat,), makes=(out,), keeps=(packed,))
    return out


def attention(runner: Runner, q: F32, k: F32, v: F32, positions: I64, window: int | None = None) -> F32:
    """Causal attention with grouped key and value heads.

    Args:
        q: (T, H, Dh), rotated.
        k: (S, Hkv, Dh) float32 or float16, rotated; slot s holds position s.
        v: as k.
        positions: (T,); the query at position p sees slots 0..p, or with a window max(0, p - window + 1)..p.

    Returns:
        (T, H, Dh).

    Raises:
        ShapeError: H is not a multiple of Hkv, or a query's own position is not in the cache.
    """
    tokens, heads, head_dim = q.shape
    slots, kv_heads, _ = k.shape
    if heads % kv_heads or (tokens and int(positions.max()) >= slots):
        raise ShapeError(f"attention: {heads} heads over {kv_heads} kv heads, {slots} cached slots")
    out = np.empty_like(q, order="C")
    if out.size == 0:
        return out
    arrays: list[Any] = [*map(np.ascontiguousarray, (q, k, v, positions)), out]
    isa, shown = available()[-1], NO_WINDOW if window is None else window
    cut = Cut.of(isa, runner.threads, tokens, heads, head_dim, slots, kv_heads, shown)
    arrays.append(np.zeros(cut.state_bytes, np.uint8))
    *places, states = (array.__array_interface__["data"][0] for array in arrays)
    sizes = (tokens, heads, head_dim, slots, kv_heads)
    words = np.array([*places, *sizes, cut.parts, shown, cut.spans, states], np.int64)
    job = kernel(*queries.kernels(isa, halves=k.dtype == np.float16)[cut.many])
    reads, keeps = (arrays[0], arrays[3]), (arrays[1], arrays[2], arrays[5])
    runner.run(job, words, cut.parts, reads=reads, makes=(out,), keeps=keeps)
    return out


def parts_of(runner: Runner, cost_ns: int, most: int) -> int:
    """Parts of a job: of some 10 us at least, and no more than there are things."""
    return max(1, min(cost_ns // _PART_NS, most, runner.threads * _PARTS_PER_THREAD))
