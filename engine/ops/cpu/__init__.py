"""The fast CPU path: the signatures of `engine.ops.reference`, through compiled kernels.

Weights are read as they lie in the file; activations and sums are float32. A result does not depend on how many
tokens are computed together, nor on the number of threads; how is said in `engine.ops.cpu.kernels.floats`.
"""

from __future__ import annotations

import numpy as np

from engine.gguf.types import GgmlType
from engine.ops import reference
from engine.ops.cpu import floats, rows
from engine.ops.cpu.allocator import keep_freed_memory
from engine.ops.cpu.floats import KERNEL_TYPES
from engine.ops.cpu.footprint import release_compiler
from engine.ops.cpu.isa import cores
from engine.ops.cpu.machine_code import Kernel, load
from engine.ops.cpu.pool import KERNELS as POOL
from engine.ops.cpu.pool import shared
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import PLAIN, Rotary

name = "cpu"
precision = "float32"

_pool = shared(cores())

embedding = reference.embedding
add_bias = reference.add_bias
add = reference.add
swiglu = reference.swiglu


def threads() -> int:
    """Threads that share one large operation."""
    return _pool.threads


def set_threads(count: int) -> None:
    """Let so many threads, 1..`cores()`, share each large operation of this module from now on."""
    global _pool  # the operations are functions of a module: there is no object to keep it
    _pool = shared(count)


def prepare(types: frozenset[GgmlType]) -> None:
    """Load the kernels now, before any weight is resident, and give back the memory that this took."""
    products: list[Kernel] = [("float_product",)] if types & KERNEL_TYPES else []
    load(*products, ("norm",), ("angles",), ("turn",), *floats.ATTENTION, *POOL)
    release_compiler()
    keep_freed_memory()


def slow_types(types: frozenset[GgmlType]) -> tuple[GgmlType, ...]:
    """Those of a model's weight types that have no kernel here and are decoded by numpy; for the run record."""
    return tuple(sorted(types - KERNEL_TYPES))


def matmul(x: F32, weight: Weight) -> F32:
    """x (T, K) times the transpose of `weight` (N, K): (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    return floats.matmul(_pool, x, weight)


def rms_norm(x: F32, weight: F32, *, eps: float) -> F32:
    """Divide each row of x (T, D) by its root mean square, then scale by weight (D,)."""
    return rows.rms_norm(_pool, np.ascontiguousarray(x), np.ascontiguousarray(weight), eps)


def rope(x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32:
    """Rotate the pairs (i, i + Dh/2) of each head by position * theta**(-2i/Dh) radians.

    Args:
        x: (T, H, Dh); Dh even.
        positions: (T,), absolute, 0-based.
        rotary: other pairs, and scaled angles.

    Raises:
        ShapeError: Dh is odd, or positions does not have T entries, or `rotary` is for another Dh.
    """
    rows.check_rope(x, positions)
    return rows.Angles(_pool, positions, x.shape[2], theta, rotary).turn(_pool, np.ascontiguousarray(x))


def attention(q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32:
    """Causal attention with grouped key and value heads; k and v are float32 or float16.

    Args:
        window: slots a query sees at most, its own included; default: all up to its own.

    Raises:
        ShapeError: H is not a multiple of Hkv, or a query's own position is not in the cache.
    """
    return floats.attention(_pool, q, k, v, positions, window)
