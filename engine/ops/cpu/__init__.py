"""The fast CPU path: the signatures of `engine.ops.reference`, through numba.

Weights are read as they lie in the file; activations and sums are float32. A result does not depend on how many
tokens are computed together, nor on the number of threads; how is said in `engine.ops.cpu.kernels`.
"""

from __future__ import annotations

import functools
import os
import threading

import numba
import numpy as np

from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops import reference
from engine.ops.cpu import kernels
from engine.ops.protocol import F32, I64, Weight

name = "cpu"
precision = "float32"

KERNEL_TYPES = frozenset(
    {
        *(GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q5_0, GgmlType.Q8_0),
        *(GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K),
    }
)
"""Types that `matmul` reads in place; others are decoded by numpy, slice by slice (`slow_types`)."""

# With numba's OpenMP layer a parallel call takes 12 ms, a time slice of the scheduler, while another process uses the
# cores: its threads wait by spinning. With this layer it takes 0.1 ms, idle or not. It must not be entered twice.
if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "workqueue"
_one_at_a_time = threading.Lock()

# In units of about 0.03 ns: below a quarter of a millisecond, starting the other threads costs more than they save.
_PARALLEL_FROM = 1 << 23
# Decoding a weight takes as long as this many multiply-adds.
_DECODE_COST = 4

embedding = reference.embedding
add_bias = reference.add_bias
add = reference.add
swiglu = reference.swiglu


def threads() -> int:
    """Threads that share one large operation."""
    return int(numba.get_num_threads())


def slow_types(types: frozenset[GgmlType]) -> tuple[GgmlType, ...]:
    """Those of a model's weight types that have no kernel here and take the reference path; for the run record."""
    return tuple(sorted(types - KERNEL_TYPES))


def matmul(x: F32, weight: Weight) -> F32:
    """x (T, K) times the transpose of `weight` (N, K): (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    if weight.type not in KERNEL_TYPES:
        return reference.matmul(x, weight)
    rows, columns = weight.shape
    tokens = x.shape[0]
    if x.shape[1] != columns:
        raise ShapeError(f"{weight.name}: rows have {columns} weights, the activation has {x.shape[1]} values")
    out = np.empty((tokens, rows), np.float32)
    raw = weight.data.reshape(-1)
    if raw.flags.writeable:
        raw = raw.view()
        raw.flags.writeable = False  # numba compiles once per kind of array; model files are mapped read-only
    if out.size == 0:
        return out
    row_bytes = weight.data.shape[1]
    flat, result = contiguous(x).reshape(-1), out.reshape(-1)
    parts = _parts(rows * columns * (tokens + _DECODE_COST))
    if parts > 1:
        with _one_at_a_time:
            kernels.matmul_parallel(int(weight.type), raw, row_bytes, flat, tokens, columns, result, parts)
    else:
        kernels.matmul_rows(int(weight.type), raw, row_bytes, flat, tokens, columns, result, (0, rows))
    return out


def rms_norm(x: F32, weight: F32, *, eps: float) -> F32:
    """Divide each row of x (T, D) by its root mean square, then scale by weight (D,)."""
    out = np.empty_like(x)
    kernels.rms_norm(contiguous(x), contiguous(weight), np.float32(eps), out)
    return out


def rope(x: F32, positions: I64, *, theta: float) -> F32:
    """Rotate the pairs (i, i + Dh/2) of each head by position * theta**(-2i/Dh) radians.

    Args:
        x: (T, H, Dh); Dh even.
        positions: (T,), absolute, 0-based.

    Raises:
        ShapeError: Dh is odd, or positions does not have T entries.
    """
    tokens, _, head_dim = x.shape
    if head_dim % 2 or positions.shape != (tokens,):
        raise ShapeError(f"rope: head dim {head_dim} must be even and positions {positions.shape} be ({tokens},)")
    out = np.empty_like(x)
    kernels.rope(contiguous(x), positions, _frequencies(head_dim, float(theta)), out)
    return out


@functools.lru_cache(maxsize=16)
def _frequencies(head_dim: int, theta: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.power(theta, -np.arange(head_dim // 2) * 2.0 / head_dim)


def attention(q: F32, k: F32, v: F32, positions: I64) -> F32:
    """Causal attention with grouped key and value heads.

    Args:
        q: (T, H, Dh), rotated.
        k: (S, Hkv, Dh), rotated; slot s holds position s.
        v: (S, Hkv, Dh).
        positions: (T,); the query at position p sees slots 0..p.

    Returns:
        (T, H, Dh).

    Raises:
        ShapeError: H is not a multiple of Hkv, or a query's own position is not in the cache.
    """
    tokens, heads, head_dim = q.shape
    slots, kv_heads, _ = k.shape
    if heads % kv_heads or (tokens and int(positions.max()) >= slots):
        raise ShapeError(f"attention: {heads} heads over {kv_heads} kv heads, {slots} cached slots")
    out = np.empty_like(q)
    scale = np.float32(head_dim**-0.5)
    arguments = (contiguous(q), contiguous(k), contiguous(v), positions, scale, out)
    # a slot costs two multiply-adds per element, one of them (the weighted sum of v) through memory
    parts = _parts(tokens * heads * slots * head_dim * 4)
    if parts > 1:
        with _one_at_a_time:
            kernels.attention_parallel(*arguments, parts)
    else:
        kernels.attention_heads(*arguments, (0, tokens * heads))
    return out


def _parts(cost: int) -> int:
    return threads() if cost >= _PARALLEL_FROM else 1


def contiguous(x: F32) -> F32:
    """The array itself if it is contiguous and writable, else a copy: numba compiles once per kind of array."""
    return x if x.flags.c_contiguous and x.flags.writeable else np.array(x, order="C")
