"""Q6_K: 6-bit weights in super-blocks of 256; 210 bytes per block, 6.5625 bits per weight.

    offset  bytes  field   dtype    meaning
         0    128  ql      uint8    low 4 bits of the 256 weights
       128     64  qh      uint8    high 2 bits of the 256 weights
       192     16  scales  int8     one scale per sub-block of 16 weights
       208      2  d       float16  scale of the sub-block scales

    w = d * scale[i // 16] * (q - 32)             q in 0..63

    Weight i = 128 h + 32 k + l, with h in 0..1, k in 0..3, l in 0..31, lies in

    ql[64 h + 32 (k % 2) + l]   low nibble for k < 2, high nibble for k >= 2
    qh[32 h + l]                bits 2k+1, 2k

Source: block_q6_K in ggml-common.h, dequantize_row_q6_K in ggml-quants.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Floats, split_packed

BLOCK_SIZE = 256
TYPE_SIZE = 210


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q6_k", TYPE_SIZE)
    count = len(blocks)
    ql = blocks[:, :128].reshape(count, 2, 1, 64)
    qh = blocks[:, 128:192].reshape(count, 2, 32)
    quants = np.empty((count, 2, 2, 64), np.uint8)
    np.bitwise_and(ql, 15, out=quants[:, :, 0:1])
    np.right_shift(ql, 4, out=quants[:, :, 1:2])
    quarters = quants.reshape(count, 2, 4, 32)
    quarters[:, :, 0] |= (qh << 4) & 48
    quarters[:, :, 1] |= (qh << 2) & 48
    quarters[:, :, 2] |= qh & 48
    quarters[:, :, 3] |= (qh >> 2) & 48
    quants -= 32  # wraps; the view below reads it as signed
    d = blocks[:, 208:210].copy().view(np.float16).astype(np.float32)
    scale = d * blocks[:, 192:208].view(np.int8)
    weights = quants.view(np.int8).reshape(count, 16, 16).astype(np.float32)
    weights *= scale[:, :, np.newaxis]
    return weights.reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE * BLOCK_SIZE)
