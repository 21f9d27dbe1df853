"""Q3_K: 3-bit weights in super-blocks of 256; 110 bytes per block, 3.4375 bits per weight.

    offset  bytes  field   dtype    meaning
         0     32  hmask   uint8    third bit of the 256 weights
        32     64  qs      uint8    low 2 bits of the 256 weights
        96     12  scales  uint8    16 scales, 6 bits each
       108      2  d       float16  scale of the sub-block scales

    w = d * (scale[i // 16] - 32) * (q - 4)       q in 0..7

Weight i = 128 h + 32 k + l, with h in 0..1, k in 0..3, l in 0..31, lies in

    qs[32 h + l]    bits 2k+1, 2k
    hmask[l]        bit 4h + k

Scale j lies in

    scales[j % 8]        low nibble for j < 8, high nibble for j >= 8
    scales[8 + j % 4]    bits 2 (j // 4) + 1, 2 (j // 4): its two high bits

Source: block_q3_K in ggml-common.h, dequantize_row_q3_K in ggml-quants.c.
Not here: quantizing (we only read).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Floats, bit_planes, halves, nibbles, pairs_of_bits, rejoin, split_packed

BLOCK_SIZE = 256
TYPE_SIZE = 110
SCALES: tuple[int, ...] = (108,)


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q3_k", TYPE_SIZE)
    count = len(blocks)
    low = nibbles(blocks[:, 96:104]).reshape(count, 16)
    high = blocks[:, 104:108, np.newaxis] >> np.array([0, 2, 4, 6], np.uint8) & 3
    scales = (low | high.transpose(0, 2, 1).reshape(count, 16) << 4).astype(np.int8) - np.int8(32)
    quants = pairs_of_bits(blocks[:, 32:96]).reshape(count, 256) | bit_planes(blocks[:, :32]).reshape(count, 256) << 2
    weights = (quants.view(np.int8) - np.int8(4)).reshape(count, 16, 16).astype(np.float32)
    weights *= (halves(blocks, 108) * scales)[:, :, np.newaxis]
    return rejoin(weights, raw, BLOCK_SIZE, TYPE_SIZE)
