"""Q4_0: 4-bit weights in blocks of 32; 18 bytes per block, 4.5 bits per weight.

    offset  bytes  field  dtype    meaning
         0      2  d      float16  scale
         2     16  qs     uint8    32 weights, 4 bits each

    w = d * (q - 8)                               q in 0..15

qs: byte i holds weight i in the low nibble and weight i + 16 in the high one.

Source: block_q4_0 in ggml-common.h, dequantize_row_q4_0 in ggml-quants.c.
Not here: quantizing (we only read).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Floats, halves, nibbles, rejoin, split_packed

BLOCK_SIZE = 32
TYPE_SIZE = 18
SCALES: tuple[int, ...] = (0,)


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q4_0", TYPE_SIZE)
    weights = nibbles(blocks[:, 2:]).reshape(-1, 32).astype(np.float32)
    weights -= np.float32(8)
    weights *= halves(blocks, 0)
    return rejoin(weights, raw, BLOCK_SIZE, TYPE_SIZE)
