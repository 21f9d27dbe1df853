"""Activations as 8-bit integers in blocks of 32, each block with a scale of its own.

    xd = max|x| / 127        xq = round(x / xd), halves to even        (xd = 0: xq = 0)

A channel 26 times the rest costs precision only in its own block. A block with a value that is not finite gets
xd = NaN, so that every product that uses it is NaN, as it would be in float32.

    xq    (T, K)       int8
    xd    (T, K/32)    float32
    xs    (T, K/32)    float32    xd * sum of the block's xq      the minimums of Q4_K need it
    x16   (T, K/16)    int32      sum of xq over half a block     the offset 32 of Q6_K needs it

Divisions are the correctly rounded ones, so integers and scales are bit for bit those of the same formula in numpy.
The launcher guarantees: x is (T, K) float32, contiguous; K is a multiple of 32.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous


@triton.jit
def store_quantised(
    x: tl.tensor,
    block: tl.tensor,
    inside: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
    x16: tl.tensor,
) -> None:
    """Quantise a tile and store it where the pointers of its token begin.

    Args:
        x: (B, 32) float32. block: (B,) number of each block within the token. inside: (B,) whether to store it.
    """
    # x - x is 0 for finite numbers and NaN otherwise; a maximum alone would drop NaN
    d = tl.math.div_rn(tl.max(tl.abs(x), axis=1), 127.0) + tl.sum(x - x, axis=1)
    nonzero = tl.where(d > 0, d, 1.0)[:, None]
    # adding 1.5 * 2^23 leaves no bits for a fraction: rounds halves to even
    rounded = (tl.math.div_rn(x, tl.broadcast_to(nonzero, x.shape)) + 12582912.0) - 12582912.0
    q = tl.where(d[:, None] > 0, rounded, 0.0).to(tl.int32)
    column = tl.arange(0, 32)[None, :]
    tl.store(xq + block[:, None] * 32 + column, q.to(tl.int8), mask=inside[:, None])
    halves = tl.sum(tl.reshape(q, [q.shape[0], 2, 16]), axis=2)
    tl.store(x16 + block[:, None] * 2 + tl.arange(0, 2)[None, :], halves, mask=inside[:, None])
    tl.store(xd + block, d, mask=inside)
    tl.store(xs + block, d * tl.sum(q, axis=1).to(tl.float32), mask=inside)


@triton.jit
def quantise(
    x: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
    x16: tl.tensor,
    blocks: tl.tensor,
    BLOCKS: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """Shapes as above; blocks = K / 32. Grid: tiles of BLOCKS, 1, T."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    token = tl.program_id(2).to(tl.int64)
    block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    inside = block < blocks
    at = (token * blocks + block)[:, None] * 32 + tl.arange(0, 32)[None, :]
    values = tl.load(x + at, mask=inside[:, None], other=0)
    first = token * blocks
    store_quantised(values, block, inside, xq + first * 32, xd + first, xs + first, x16 + first * 2)
