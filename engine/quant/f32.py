"""F32: little-endian IEEE 754 single precision; 4 bytes per weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Bytes, Floats, split_packed

BLOCK_SIZE = 1
TYPE_SIZE = 4
SCALES: tuple[int, ...] = ()


def decode(raw: npt.NDArray[Any]) -> Floats:
    """View rows of bytes as weights: (..., row_bytes) uint8 -> (..., cols) float32; no copy if contiguous.

    Raises:
        QuantError: a row is not a whole number of weights.
    """
    return split_packed(raw, "f32", TYPE_SIZE).view("<f4").reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE)


def encode(weights: npt.NDArray[Any]) -> Bytes:
    """(..., cols) float32 -> (..., row_bytes) uint8; every bit is kept."""
    return np.ascontiguousarray(weights, "<f4").view(np.uint8)
