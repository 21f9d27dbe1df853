"""Q8_0 matrix times 8-bit vector.

    y[n] = sum over blocks j of 32:  d_j * xd_j * sum_i q_i * xq_i

with the weights (d, q) of `engine.quant.q8_0` and the activations (xq, xd) of `activations`.

Repeats `ops.reference.matmul` on the activation xd * xq. The integer sums are exact; what is rounded is the float32 sum
of one term per 32 weights: relative L2 at most 1e-6.

`weights` splits the blocks of 34 bytes into quants and scales once, so that a block is two aligned 16-byte loads.
The launcher guarantees: quants and scales are contiguous, the quants 16-byte aligned; BLOCKS divides `blocks`;
activations are contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.dp4a import dp4a
from engine.ops.cuda.row_tile import store_rows, tile_rows


@triton.jit
def _products(
    low: tl.tensor, high: tl.tensor, half_d: tl.tensor, x_at: tl.tensor, xd_at: tl.tensor, ASSEMBLY: tl.constexpr
) -> tl.tensor:
    """low, high (R, B, 4) int32, half_d (R, B) float16 of blocks; activations where they are: (R, B) float32."""
    dot = dp4a(low, tl.load(x_at), tl.zeros(low.shape, tl.int32), ASSEMBLY)
    dot = dp4a(high, tl.load(x_at + 4), dot, ASSEMBLY)
    return tl.sum(dot, axis=2).to(tl.float32) * (half_d.to(tl.float32) * tl.load(xd_at))


@triton.jit
def q8_0_matvec(
    quants: tl.tensor,
    d: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    out: tl.tensor,
    best: tl.tensor,
    best_row: tl.tensor,
    activated: tl.tensor,
    aq: tl.tensor,
    ad: tl.tensor,
    a_sum: tl.tensor,
    a16: tl.tensor,
    rows: tl.tensor,
    blocks: tl.tensor,
    steps_per_split: tl.tensor,
    ROWS: tl.constexpr,
    BLOCKS: tl.constexpr,
    GATED: tl.constexpr,
    EIGHT_BITS: tl.constexpr,
    BEST: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """quants (N, 8 * blocks) int32; d (N, blocks) float16; xq (T, 8 * blocks) int32 of 4 bytes; xd (T, blocks) float32;
    out (splits, T, N) float32; the rest as in `store_rows`. Grid: row tiles, splits, T."""
    release_next(DEPENDENT)
    split = tl.program_id(1)
    token = tl.program_id(2)
    row, inside = tile_rows(tl.arange(0, ROWS), rows, ROWS, GATED)
    block = tl.arange(0, BLOCKS)
    word = tl.arange(0, 4)[None, None, :]
    first = split * steps_per_split
    last = tl.minimum(first + steps_per_split, blocks // BLOCKS)
    safe = tl.minimum(row, rows - 1).to(tl.int64) * blocks + first * BLOCKS
    q_at = quants + ((safe * 8)[:, None, None] + (block * 8)[None, :, None] + word)
    d_at = d + (safe[:, None] + block[None, :])
    at = token * blocks + first * BLOCKS
    x_at = xq + (at * 8 + (block * 8)[None, :, None] + word)
    xd_at = xd + (at + block[None, :])
    # every part has a step; the weights of its first one are on their way before the activations are there
    low, high, half_d = tl.load(q_at), tl.load(q_at + 4), tl.load(d_at)
    wait_for_previous(DEPENDENT)
    total = _products(low, high, half_d, x_at, xd_at, ASSEMBLY)
    for _ in range(first + 1, last):
        q_at += BLOCKS * 8
        d_at += BLOCKS
        x_at += BLOCKS * 8
        xd_at += BLOCKS
        low, high, half_d = tl.load(q_at), tl.load(q_at + 4), tl.load(d_at)
        total += _products(low, high, half_d, x_at, xd_at, ASSEMBLY)
    store_rows(
        tl.sum(total, axis=1), row, inside, out, best, best_row, activated, aq, ad, a_sum, a16, rows,
        GATED, EIGHT_BITS, BEST,
    )  # fmt: skip
