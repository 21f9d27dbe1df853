"""Q2_K: 2-bit weights in super-blocks of 256; 84 bytes per block, 2.625 bits per weight.

    offset  bytes  field   dtype    meaning
         0     16  scales  uint8    per sub-block of 16: scale in the low nibble, minimum in the high one
        16     64  qs      uint8    256 weights, 2 bits each
        80      2  d       float16  scale of the sub-block scales
        82      2  dmin    float16  scale of the sub-block minimums

    w = d * scale[i // 16] * q - dmin * minimum[i // 16]       q in 0..3

Weight i = 128 h + 32 k + l, with h in 0..1, k in 0..3, l in 0..31, lies in bits 2k+1, 2k of qs[32 h + l].

Source: block_q2_K in ggml-common.h, dequantize_row_q2_K in ggml-quants.c.
Not here: quantizing (we only read).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Floats, halves, pairs_of_bits, rejoin, split_packed

BLOCK_SIZE = 256
TYPE_SIZE = 84
SCALES: tuple[int, ...] = (80, 82)


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q2_k", TYPE_SIZE)
    scale = halves(blocks, 80) * (blocks[:, :16] & 15)
    minimum = halves(blocks, 82) * (blocks[:, :16] >> 4)
    weights = pairs_of_bits(blocks[:, 16:80]).reshape(-1, 16, 16).astype(np.float32)
    weights *= scale[:, :, np.newaxis]
    weights -= minimum[:, :, np.newaxis]
    return rejoin(weights, raw, BLOCK_SIZE, TYPE_SIZE)
