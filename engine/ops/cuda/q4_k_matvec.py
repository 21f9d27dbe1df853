"""Q4_K matrix times 8-bit vector.

    y[n] = sum over sub-blocks j of 32:  d * s_j * xd_j * sum_i q_i * xq_i  -  dmin * m_j * xd_j * sum_i xq_i

with the weights (d, dmin, s, m, q) of `engine.quant.q4_k` and the activations (xq, xd) of `activations`.

Repeats `ops.reference.matmul` on the activation xd * xq. The integer sums are exact; what is rounded is the float32 sum
of 4 terms per 64 weights: relative L2 at most 1e-6 against float64 (K = 18944 are 1184 terms in 8 lanes and a tree).

One thread owns whole chunks of 64 weights (32 bytes of nibbles, two 16-byte loads; the low nibbles are sub-block 2p,
the high ones 2p + 1) with the header of their block, so that a chunk is summed in registers. Raw blocks are
144 = 9 x 16 bytes, so every load is aligned as the file lies.

The launcher guarantees: w is (N, 36 * blocks) int32, contiguous, 16-byte aligned; BLOCKS divides `blocks`; activations
are contiguous. Rows past the last are computed from the last row and not stored.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.dp4a import dp4a
from engine.ops.cuda.q4_k_header import q4_k_header
from engine.ops.cuda.row_tile import store_rows, tile_rows


@triton.jit
def _products(
    low: tl.tensor,
    high: tl.tensor,
    header: tl.tensor,
    chunk: tl.tensor,
    x_at: tl.tensor,
    d_at: tl.tensor,
    s_at: tl.tensor,
    ASSEMBLY: tl.constexpr,
) -> tl.tensor:
    """low, high, header (R, C, 4) int32 of chunks numbered (1, C); activations where they are: (R, C) float32."""
    zero = tl.zeros(low.shape, tl.int32)
    dot_a = dp4a(low & 0x0F0F0F0F, tl.load(x_at), zero, ASSEMBLY)
    dot_a = dp4a(high & 0x0F0F0F0F, tl.load(x_at + 4), dot_a, ASSEMBLY)
    dot_b = dp4a((low >> 4) & 0x0F0F0F0F, tl.load(x_at + 8), zero, ASSEMBLY)
    dot_b = dp4a((high >> 4) & 0x0F0F0F0F, tl.load(x_at + 12), dot_b, ASSEMBLY)
    d, dmin, s, m = q4_k_header(header, chunk)
    scaled_a = (tl.sum(dot_a, axis=2) * (s & 0xFF)).to(tl.float32)
    scaled_b = (tl.sum(dot_b, axis=2) * (s >> 8 & 0xFF)).to(tl.float32)
    products = scaled_a * tl.load(d_at) + scaled_b * tl.load(d_at + 1)
    floors = (m & 0xFF).to(tl.float32) * tl.load(s_at) + (m >> 8 & 0xFF).to(tl.float32) * tl.load(s_at + 1)
    return d * products - dmin * floors


@triton.jit
def q4_k_matvec(
    w: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
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
    """w (N, 36 * blocks) int32; xq (T, 64 * blocks) int32 of 4 bytes; xd, xs (T, 8 * blocks) float32, xs = xd * sum xq;
    out (splits, T, N) float32; the rest as in `store_rows`. Grid: row tiles, splits, T."""
    release_next(DEPENDENT)
    CHUNKS: tl.constexpr = 4 * BLOCKS
    split = tl.program_id(1)
    token = tl.program_id(2)
    row, inside = tile_rows(tl.arange(0, ROWS), rows, ROWS, GATED)
    chunk = tl.arange(0, CHUNKS)
    word = tl.arange(0, 4)[None, None, :]
    first = split * steps_per_split
    last = tl.minimum(first + steps_per_split, blocks // BLOCKS)
    lane = (tl.minimum(row, rows - 1).to(tl.int64) * (blocks * 36))[:, None, None] + first * (BLOCKS * 36)
    header_at = w + (lane + (chunk // 4 * 36)[None, :, None] + word)
    body_at = w + (lane + (chunk // 4 * 36 + chunk % 4 * 8 + 4)[None, :, None] + word)
    x_at = xq + (token * blocks * 64 + first * (BLOCKS * 64) + (chunk * 16)[None, :, None] + word)
    sub_block = token * blocks * 8 + first * (BLOCKS * 8) + (chunk * 2)[None, :]
    d_at, s_at = xd + sub_block, xs + sub_block
    # every part has a step; the weights of its first one are on their way before the activations are there
    low, high, header = tl.load(body_at), tl.load(body_at + 4), tl.load(header_at)
    wait_for_previous(DEPENDENT)
    total = _products(low, high, header, chunk[None, :], x_at, d_at, s_at, ASSEMBLY)
    for _ in range(first + 1, last):
        header_at += BLOCKS * 36
        body_at += BLOCKS * 36
        x_at += BLOCKS * 64
        d_at += BLOCKS * 8
        s_at += BLOCKS * 8
        low, high, header = tl.load(body_at), tl.load(body_at + 4), tl.load(header_at)
        total += _products(low, high, header, chunk[None, :], x_at, d_at, s_at, ASSEMBLY)
    store_rows(
        tl.sum(total, axis=1), row, inside, out, best, best_row, activated, aq, ad, a_sum, a16, rows,
        GATED, EIGHT_BITS, BEST,
    )  # fmt: skip
