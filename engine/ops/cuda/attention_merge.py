"""Joins the parts that `attention_decode` has left, in order of the slots, and quantises the result for attn_output.

    y = sum_p 2^(max_p - max) * part_p / sum_p 2^(max_p - max) * sum_p,   max = max_p

A part without slots has max = -inf and weighs nothing. Two roundings per part, no atomic.
In 8 bits as in `quantise`, from the rounded y.
The launcher guarantees: all arrays are contiguous, PARTS is a power of two, the first part has a slot; EIGHT_BITS only
if 32 divides Dh.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.quantise import store_quantised


@triton.jit
def attention_merge(
    part: tl.tensor,
    part_max: tl.tensor,
    part_sum: tl.tensor,
    out: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
    x16: tl.tensor,
    head_dim: tl.tensor,
    PARTS: tl.constexpr,
    DIM: tl.constexpr,
    EIGHT_BITS: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """part (T * H, PARTS, Dh), part_max, part_sum (T * H, PARTS), out (T * H, Dh) float32; xq to x16 as in `quantise`,
    written with EIGHT_BITS. Grid: T * H, 1, 1."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    row = tl.program_id(0).to(tl.int64)
    number = tl.arange(0, PARTS)
    dim = tl.arange(0, DIM)
    largest = tl.load(part_max + row * PARTS + number)
    share = tl.exp2(largest - tl.max(largest, axis=0))
    total = tl.sum(share * tl.load(part_sum + row * PARTS + number), axis=0)
    inside = (number >= 0)[:, None] & (dim < head_dim)[None, :]
    at = (row * PARTS + number)[:, None] * head_dim + dim[None, :]
    mixed = tl.sum(share[:, None] * tl.load(part + at, mask=inside, other=0), axis=0)
    y = tl.math.div_rn(mixed, tl.broadcast_to(total, mixed.shape))
    tl.store(out + row * head_dim + dim, y, mask=dim < head_dim)
    if EIGHT_BITS:
        block = tl.arange(0, DIM // 32)
        first = row * (head_dim // 32)
        in_blocks = tl.reshape(y, [DIM // 32, 32])
        store_quantised(
            in_blocks, block, block < head_dim // 32, xq + first * 32, xd + first, xs + first, x16 + first * 2
        )
