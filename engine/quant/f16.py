"""F16: little-endian IEEE 754 half precision; 2 bytes per weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import QuantError
from engine.quant.blocks import Bytes, Floats, split_packed, split_weights

BLOCK_SIZE = 1
TYPE_SIZE = 2
SCALES: tuple[int, ...] = ()


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Widen rows of weights: (..., row_bytes) uint8 -> (..., cols) float32; exact.

    Raises:
        QuantError: a row is not a whole number of weights.
    """
    halves = split_packed(raw, "f16", TYPE_SIZE).view("<f2")
    return halves.astype(np.float32).reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE)


def encode(weights: npt.NDArray[Any]) -> Bytes:
    """Round to nearest even: (..., cols) float32 -> (..., row_bytes) uint8.

    Raises:
        QuantError: a weight is not finite, or beyond 65504, the largest half.
    """
    split_weights(weights, "f16", BLOCK_SIZE)
    largest = float(np.abs(weights).max(initial=0.0))
    if largest >= 65520:
        raise QuantError(f"f16 weight of magnitude {largest:g} is beyond 65504, the largest f16; use bf16 or f32")
    return np.ascontiguousarray(weights.astype("<f2")).view(np.uint8)
