"""Q4_K: 4-bit weights in super-blocks of 256; 144 bytes per block, 4.5 bits per weight.

    offset  bytes  field   dtype    meaning
         0      2  d       float16  scale of the sub-block scales
         2      2  dmin    float16  scale of the sub-block minimums
         4     12  scales  uint8    8 scales and 8 minimums, 6 bits each, interleaved
        16    128  qs      uint8    256 weights, 4 bits each

    w = d * scale[j] * q - dmin * minimum[j]      q in sub-block j of 32 weights

    scales, bits 7..0 (s: scale, m: minimum; hi: bits 5-4, lo: bits 3-0)

    byte 0-3    s[4..7] hi | s[0..3]
    byte 4-7    m[4..7] hi | m[0..3]
    byte 8-11   m[4..7] lo | s[4..7] lo

    qs: bytes 32p..32p+31 hold sub-block 2p in the low nibbles and 2p+1 in the high ones.

Source: block_q4_K in ggml-common.h, get_scale_min_k4 in ggml-quants.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Bytes, Floats, split_packed, split_weights, tame
from engine.quant.q4_k_search import search

BLOCK_SIZE = 256
TYPE_SIZE = 144
SCALES: tuple[int, ...] = (0, 2)


def unpack_scales(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Split the 12 `scales` bytes of each block.

    Args:
        packed: (blocks, 12) uint8.
    Returns:
        scales and minimums, each (blocks, 8) uint8 in 0..63.
    """
    first, second, low = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.empty((len(packed), 8), np.uint8)
    minimums = np.empty((len(packed), 8), np.uint8)
    scales[:, :4] = first & 63
    scales[:, 4:] = (low & 15) | ((first >> 2) & 48)
    minimums[:, :4] = second & 63
    minimums[:, 4:] = (low >> 4) | ((second >> 2) & 48)
    return scales, minimums


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q4_k", TYPE_SIZE)
    count = len(blocks)
    d = blocks[:, 0:4].copy().view(np.float16).astype(np.float32)
    scales, minimums = unpack_scales(blocks[:, 4:16])
    scale = (d[:, 0:1] * scales).reshape(count, 4, 2, 1)
    minimum = (d[:, 1:2] * minimums).reshape(count, 4, 2, 1)
    qs = blocks[:, 16:].reshape(count, 4, 1, 32)
    quants = np.empty((count, 4, 2, 32), np.uint8)
    np.bitwise_and(qs, 15, out=quants[:, :, 0:1])
    np.right_shift(qs, 4, out=quants[:, :, 1:2])
    weights = quants.astype(np.float32)
    weights *= scale
    weights -= minimum
    return weights.reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE * BLOCK_SIZE)


def pack_scales(scales: Bytes, minimums: Bytes) -> Bytes:
    """Inverse of `unpack_scales`: two (blocks, 8) uint8 in 0..63 -> (blocks, 12) uint8."""
    packed = np.empty((len(scales), 12), np.uint8)
    packed[:, 0:4] = scales[:, :4] | (scales[:, 4:] >> 4 << 6)
    packed[:, 4:8] = minimums[:, :4] | (minimums[:, 4:] >> 4 << 6)
    packed[:, 8:12] = (scales[:, 4:] & 15) | (minimums[:, 4:] & 15) << 4
    return packed


def encode(weights: npt.NDArray[Any]) -> Bytes:
    """Pack rows of weights: (..., cols) float32 -> (..., row_bytes) uint8.

    The search for scales is described in `engine.quant.q4_k_search`.

    Raises:
        QuantError: a row is not a whole number of blocks, a weight is not finite, or a scale exceeds float16.
    """
    x = tame(split_weights(weights, "q4_k", BLOCK_SIZE), "q4_k", 63 * 15)
    packed = np.empty((len(x), TYPE_SIZE), np.uint8)
    # 512 blocks keep the dozen temporaries of the search within a 2 MB second-level cache.
    for start in range(0, len(x), 512):
        found = search(x[start : start + 512].reshape(-1, 8, 32))
        part = packed[start : start + 512]
        part[:, 0:4] = found.d.view(np.uint8)
        part[:, 4:16] = pack_scales(found.scales, found.minimums)
        pairs = found.quants.reshape(-1, 4, 2, 32)
        part[:, 16:] = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)
    return packed.reshape(*weights.shape[:-1], weights.shape[-1] // BLOCK_SIZE * TYPE_SIZE)
