"""Q8_0: 8-bit weights in blocks of 32; 34 bytes per block, 8.5 bits per weight.

    offset  bytes  field  dtype    meaning
         0      2  d      float16  scale
         2     32  qs     int8     32 weights

    w = d * q

Source: block_q8_0 in ggml-common.h, quantize_row_q8_0_ref in ggml-quants.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Bytes, Floats, check_scale, split_packed, split_weights

BLOCK_SIZE = 32
TYPE_SIZE = 34
SCALES: tuple[int, ...] = (0,)


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q8_0", TYPE_SIZE)
    d = blocks[:, 0:2].copy().view(np.float16).astype(np.float32)
    weights = blocks[:, 2:].view(np.int8).astype(np.float32)
    weights *= d
    return weights.reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE * BLOCK_SIZE)


def encode(weights: npt.NDArray[Any]) -> Bytes:
    """Pack rows of weights: (..., cols) float32 -> (..., row_bytes) uint8.

    The scale is max|w| / 127 rounded to float16; ties of the quants round away from zero, as in ggml.

    Raises:
        QuantError: a row is not a whole number of blocks, a weight is not finite, or a scale exceeds float16.
    """
    x = split_weights(weights, "q8_0", BLOCK_SIZE)
    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    check_scale(d, "q8_0")
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d > 0)
    scaled = x * inverse
    # ggml calls roundf, which takes halves away from zero; np.rint would take them to even.
    quants = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    packed = np.empty((len(x), TYPE_SIZE), np.uint8)
    packed[:, :2] = d.astype("<f2").view(np.uint8)
    packed[:, 2:] = quants.astype(np.int8).view(np.uint8)
    return packed.reshape(*weights.shape[:-1], weights.shape[-1] // BLOCK_SIZE * TYPE_SIZE)
