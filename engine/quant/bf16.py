"""BF16: the upper half of a float32; 2 bytes per weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Bytes, Floats, split_packed, split_weights

BLOCK_SIZE = 1
TYPE_SIZE = 2
SCALES: tuple[int, ...] = ()


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Widen rows of weights: (..., row_bytes) uint8 -> (..., cols) float32; exact.

    Raises:
        QuantError: a row is not a whole number of weights.
    """
    upper = split_packed(raw, "bf16", TYPE_SIZE).view("<u2").astype(np.uint32)
    upper <<= 16
    return upper.view(np.float32).reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE)


def encode(weights: npt.NDArray[Any]) -> Bytes:
    """Round to nearest even: (..., cols) float32 -> (..., row_bytes) uint8.

    Raises:
        QuantError: a weight is not finite.
    """
    bits = split_weights(weights, "bf16", BLOCK_SIZE).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    packed = rounded.astype("<u2").view(np.uint8)
    return packed.reshape(*weights.shape[:-1], weights.shape[-1] * TYPE_SIZE)
