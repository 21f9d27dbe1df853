"""Q5_0: 5-bit weights in blocks of 32; 22 bytes per block, 5.5 bits per weight.

    offset  bytes  field  dtype    meaning
         0      2  d      float16  scale
         2      4  qh     uint32   bit i is the fifth bit of weight i
         6     16  qs     uint8    low 4 bits of the 32 weights

    w = d * (q - 16)                              q in 0..31

qs: byte i holds weight i in the low nibble and weight i + 16 in the high one.

Source: block_q5_0 in ggml-common.h, dequantize_row_q5_0 in ggml-quants.c.
Not here: quantizing (we only read).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Floats, fifth_bits, halves, nibbles, rejoin, split_packed

BLOCK_SIZE = 32
TYPE_SIZE = 22
SCALES: tuple[int, ...] = (0,)


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q5_0", TYPE_SIZE)
    quants = nibbles(blocks[:, 6:]).reshape(-1, 32) | fifth_bits(blocks[:, 2:6])
    weights = quants.astype(np.float32)
    weights -= np.float32(16)
    weights *= halves(blocks, 0)
    return rejoin(weights, raw, BLOCK_SIZE, TYPE_SIZE)
