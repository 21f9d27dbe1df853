"""Another backend's arithmetic with the roundings of CUDA in front of its products: what a precision costs by itself.

    q8     up to 8 tokens: x in blocks of 32 to integers times max|x| / 127; more tokens: each row to float16
    f32    products as they are
    both   keys and values to float16

Only products with weights that have integer kernels are rounded; the others take float32 activations on CUDA as well.
Not here: the order of its sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.gguf.types import GgmlType
from engine.ops.protocol import F32, I64, Ops, Weight

QUANTISED = frozenset({GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0})
MATVEC_TOKENS = 8

_BLOCK = 32
_AS_THEY_ARE = frozenset(
    {"name", "threads", "slow_types", "embedding", "add_bias", "add", "rms_norm", "rope", "swiglu"}
)


class Rounded:
    """Satisfies `engine.ops.protocol.Ops`."""

    def __init__(self, ops: Ops, precision: str) -> None:
        """Args:
        precision: q8 or f32, as `engine.models.on_device.PRECISIONS`.
        """
        self._ops = ops
        self._rounds = precision == "q8"
        self.precision = f"{ops.precision}, rounded as {precision} of cuda"

    def __getattr__(self, name: str) -> Any:
        if name not in _AS_THEY_ARE:
            raise AttributeError(name)  # a fusion of the backend would not round
        return getattr(self._ops, name)

    def matmul(self, x: F32, weight: Weight) -> F32:
        """x (T, K), rounded, times the transpose of `weight` (N, K): (T, N)."""
        if self._rounds and weight.type in QUANTISED:
            x = in_8_bits(x) if x.shape[0] <= MATVEC_TOKENS else in_float16(x)
        return self._ops.matmul(x, weight)

    def attention(self, q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32:
        """As the backend's, on keys and values of float16."""
        k, v = (array.astype(np.float16).astype(np.float32) for array in (k, v))
        return self._ops.attention(q, k, v, positions, window=window)


def in_8_bits(x: F32) -> F32:
    """x (T, K) in blocks of 32, K a multiple of 32: the nearest integers of -127..127 times max|x| / 127."""
    blocks = x.reshape(x.shape[0], -1, _BLOCK)
    d = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127)
    quants = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
    rounded: F32 = (quants * d).reshape(x.shape)
    return rounded


def in_float16(x: F32) -> F32:
    """x (T, K), each row as float16 times its largest value."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    scaled = np.divide(x, largest, out=np.zeros_like(x), where=largest > 0)
    rounded: F32 = scaled.astype(np.float16).astype(np.float32) * largest
    return rounded
