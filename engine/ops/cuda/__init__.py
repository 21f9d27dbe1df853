"""The CUDA backend: the signatures of `engine.ops.reference`, through Triton kernels, one per file.

Arrays are copied to the device and back at every call, which is what comparisons with the reference need. A model that
runs on the GPU is given `engine.ops.cuda.resident`, the same functions on tensors that stay there; `exact` of both
takes float32 activations for every product.

Importing this package imports torch and triton. Where there is no usable GPU the first call raises BackendError, and
nothing else is tried; under TRITON_INTERPRET=1 the kernels run in Triton's interpreter, and say so (`target.name`).
"""

from __future__ import annotations

from typing import Any

from engine.ops.cuda import resident, target
from engine.ops.cuda.weights import KERNEL_TYPES
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import PLAIN, Rotary

__all__ = ["KERNEL_TYPES"]

name = "cuda"
precision = resident.precision

threads = resident.threads
slow_types = resident.slow_types


def embedding(weight: Weight, token_ids: I64) -> F32:
    """Rows of `weight` (V, D) named by token_ids (T,), decoded: (T, D).

    Raises:
        ShapeError: an id is outside 0..V-1.
    """
    return _get(resident.embedding(weight, token_ids))


def matmul(x: F32, weight: Weight) -> F32:
    """x (T, K) times the transpose of `weight` (N, K): (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    return _get(resident.matmul(target.put(x), weight))


def add_bias(x: F32, bias: F32) -> F32:
    """x (T, N) plus bias (N,) in every row."""
    return _get(resident.add_bias(target.put(x), target.put(bias)))


def add(x: F32, y: F32) -> F32:
    """Sum of two arrays of one shape: the residual connection."""
    return _get(resident.add(target.put(x), target.put(y)))


def rms_norm(x: F32, weight: F32, *, eps: float) -> F32:
    """Divide each row of x (T, D) by its root mean square, then scale by weight (D,)."""
    return _get(resident.rms_norm(target.put(x), target.put(weight), eps=eps))


def rope(x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32:
    """Rotate the pairs (i, i + Dh/2) of each head by position * theta**(-2i/Dh) radians.

    Raises:
        ShapeError: Dh is odd, or positions does not have T entries.
    """
    return _get(resident.rope(target.put(x), positions, theta=theta, rotary=rotary))


def attention(q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32:
    """Causal attention with grouped key and value heads, which are rounded to float16 first.

    Raises:
        ShapeError: H is not a multiple of Hkv, or a query's own position is not in the cache.
    """
    keys, values = target.put(k).half(), target.put(v).half()
    return _get(resident.attention(target.put(q), keys, values, positions, window=window))


def swiglu(gate: F32, up: F32) -> F32:
    """SiLU of gate (T, F) times up (T, F)."""
    return _get(resident.swiglu(target.put(gate), target.put(up)))


def _get(tensor: Any) -> F32:
    array: F32 = tensor.cpu().numpy()
    return array
