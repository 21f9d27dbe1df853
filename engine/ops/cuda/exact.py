"""The CUDA backend with float32 activations in every product, for comparing; slower than the default mode.

Everything but `matmul` is `engine.ops.cuda`. Attention reads float16 keys and values in either mode.
"""

from __future__ import annotations

from engine.ops.cuda import (
    KERNEL_TYPES,
    add,
    add_bias,
    attention,
    embedding,
    resident,
    rms_norm,
    rope,
    slow_types,
    swiglu,
    target,
    threads,
)
from engine.ops.protocol import F32, Weight

__all__ = [
    "KERNEL_TYPES",
    "add",
    "add_bias",
    "attention",
    "embedding",
    "matmul",
    "rms_norm",
    "rope",
    "slow_types",
    "swiglu",
    "threads",
]

name = "cuda-exact"
precision = "float32 activations and sums, float16 kv cache"


def matmul(x: F32, weight: Weight) -> F32:
    """x (T, K) times the transpose of `weight` (N, K): (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    array: F32 = resident.exact_matmul(target.put(x), weight).cpu().numpy()
    return array
