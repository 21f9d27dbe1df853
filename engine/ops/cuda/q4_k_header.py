"""The first 16 bytes of a Q4_K block, as kernels read them: d, dmin and the scales of one chunk of 64 weights."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def q4_k_header(header: tl.tensor, chunk: tl.tensor) -> tl.tensor:
    """Scales and minimums of sub-blocks 2p and 2p + 1, where p = chunk % 4.

    Args:
        header: (R, C, 4) int32, the four words of each chunk's block.
        chunk: (1, C) int32.
    Returns:
        d, dmin (R, C) float32; s, m (R, C) int32, sub-block 2p in bits 0-7, 2p + 1 in bits 8-15.
    """
    even, odd = tl.split(tl.reshape(header, [header.shape[0], header.shape[1], 2, 2]))
    halves, packed_m = tl.split(even)
    packed_s, packed_low = tl.split(odd)
    shift = chunk % 2 * 16
    upper = chunk % 4 >= 2
    s = packed_s >> shift
    m = packed_m >> shift
    both = packed_low >> shift
    s = tl.where(upper, both & 0x0F0F | s >> 2 & 0x3030, s & 0x3F3F)
    m = tl.where(upper, both >> 4 & 0x0F0F | m >> 2 & 0x3030, m & 0x3F3F)
    d = halves.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    dmin = (halves >> 16).to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    return d, dmin, s, m
