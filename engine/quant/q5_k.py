"""Q5_K: 5-bit weights in super-blocks of 256; 176 bytes per block, 5.5 bits per weight.

    offset  bytes  field   dtype    meaning
         0      2  d       float16  scale of the sub-block scales
         2      2  dmin    float16  scale of the sub-block minimums
         4     12  scales  uint8    8 scales and 8 minimums, 6 bits each, as in Q4_K
        16     32  qh      uint8    fifth bit of the 256 weights
        48    128  qs      uint8    low 4 bits of the 256 weights

    w = d * scale[j] * q - dmin * minimum[j]      q in 0..31, in sub-block j of 32 weights

    qs: bytes 32p..32p+31 hold sub-block 2p in the low nibbles and 2p+1 in the high ones.
    qh: bit j of byte l belongs to weight l of sub-block j.

Source: block_q5_K in ggml-common.h, dequantize_row_q5_K in ggml-quants.c.
Not here: quantizing (we only read).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Floats, bit_planes, halves, nibbles, rejoin, split_packed
from engine.quant.q4_k import unpack_scales

BLOCK_SIZE = 256
TYPE_SIZE = 176
SCALES: tuple[int, ...] = (0, 2)


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q5_k", TYPE_SIZE)
    scales, minimums = unpack_scales(blocks[:, 4:16])
    low = nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    weights = (low | bit_planes(blocks[:, 16:48]) << 4).astype(np.float32)
    weights *= (halves(blocks, 0) * scales)[:, :, np.newaxis]
    weights -= (halves(blocks, 2) * minimums)[:, :, np.newaxis]
    return rejoin(weights, raw, BLOCK_SIZE, TYPE_SIZE)
