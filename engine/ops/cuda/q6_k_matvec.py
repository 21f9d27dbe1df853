"""Q6_K matrix times 8-bit vector.

    y[n] = sum over sub-blocks i of 16:  d * xd_j * s_i * (sum_l q_l * xq_l - 32 * sum_l xq_l),   j = i // 2

with the weights (d, s, q) of `engine.quant.q6_k` and the activations (xq, xd) of `activations`.

Repeats `ops.reference.matmul` on the activation xd * xq. The sums in brackets, times s, are integers below 2^24, so
float32 holds them exactly; what is rounded is the sum of 4 terms per 64 weights: relative L2 at most 1e-6.

Blocks of 210 bytes allow only 2-byte loads, so `weights` repacks them once. One thread owns a unit: the 16 values of l
that share four sub-blocks (h, k, e), k = 0..3, of `engine.quant.q6_k` with l // 16 = e:

    plane    per unit   holds
    low      32 bytes   ql[64h + 16e ..] then ql[64h + 32 + 16e ..], 16 bytes each: k = 0, 2 and k = 1, 3
    high     16 bytes   qh[32h + 16e ..]
    scales    4 bytes   s of k = 0, 1, 2, 3
    d         2 bytes   per block of four units

The launcher guarantees: planes are contiguous and 16-byte aligned; BLOCKS divides `blocks`; activations are contiguous.
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
    a: tl.tensor,
    b: tl.tensor,
    top: tl.tensor,
    s: tl.tensor,
    half_d: tl.tensor,
    x_at: tl.tensor,
    d_at: tl.tensor,
    sum_at: tl.tensor,
    ASSEMBLY: tl.constexpr,
) -> tl.tensor:
    """a, b, top (U, 4) int32, s (U,) int32, half_d (U,) float16 of units; activations where they are: (U,) float32."""
    zero = tl.zeros(a.shape, tl.int32)
    q0 = a & 0x0F0F0F0F | top << 4 & 0x30303030
    q1 = b & 0x0F0F0F0F | top << 2 & 0x30303030
    q2 = a >> 4 & 0x0F0F0F0F | top & 0x30303030
    q3 = b >> 4 & 0x0F0F0F0F | top >> 2 & 0x30303030
    dot0 = tl.sum(dp4a(q0, tl.load(x_at), zero, ASSEMBLY), axis=1) - 32 * tl.load(sum_at)
    dot1 = tl.sum(dp4a(q1, tl.load(x_at + 8), zero, ASSEMBLY), axis=1) - 32 * tl.load(sum_at + 2)
    dot2 = tl.sum(dp4a(q2, tl.load(x_at + 16), zero, ASSEMBLY), axis=1) - 32 * tl.load(sum_at + 4)
    dot3 = tl.sum(dp4a(q3, tl.load(x_at + 24), zero, ASSEMBLY), axis=1) - 32 * tl.load(sum_at + 6)
    products = (dot0 * (s << 24 >> 24)).to(tl.float32) * tl.load(d_at)
    products += (dot1 * (s << 16 >> 24)).to(tl.float32) * tl.load(d_at + 1)
    products += (dot2 * (s << 8 >> 24)).to(tl.float32) * tl.load(d_at + 2)
    products += (dot3 * (s >> 24)).to(tl.float32) * tl.load(d_at + 3)
    return half_d.to(tl.float32) * products


@triton.jit
def q6_k_matvec(
    low: tl.tensor,
    high: tl.tensor,
    scales: tl.tensor,
    d: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    x16: tl.tensor,
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
    """low (N, 32 * blocks), high (N, 16 * blocks), scales (N, 4 * blocks) int32; d (N, blocks) float16; xq (T, 64 *
    blocks) int32 of 4 bytes; xd (T, 8 * blocks) float32; x16 (T, 16 * blocks) int32; out (splits, T, N) float32;
    the rest as in `store_rows`. Grid: row tiles, splits, T."""
    release_next(DEPENDENT)
    UNITS: tl.constexpr = 4 * BLOCKS
    split = tl.program_id(1)
    token = tl.program_id(2)
    row, inside = tile_rows(tl.arange(0, ROWS), rows, ROWS, GATED)
    # rows and units in one axis: versions of Triton order two axes differently, and one axis not at all, so that
    # what belongs to a unit meets in one thread without a change of layout
    index = tl.arange(0, ROWS * UNITS)
    unit = index % UNITS
    word = tl.arange(0, 4)[None, :]
    first = split * steps_per_split
    last = tl.minimum(first + steps_per_split, blocks // BLOCKS)
    own, _ = tile_rows(index // UNITS, rows, ROWS, GATED)
    safe = tl.minimum(own, rows - 1).to(tl.int64) * blocks + first * BLOCKS
    low_at = low + ((safe * 32 + unit * 8)[:, None] + word)
    high_at = high + ((safe * 16 + unit * 4)[:, None] + word)
    scales_at = scales + (safe * 4 + unit)
    half_d_at = d + (safe + unit // 4)
    block = token * blocks + first * BLOCKS
    # unit 4b + 2h + e of a row starts at weight 256b + 128h + 16e
    start = unit // 2 * 128 + unit % 2 * 16
    x_at = xq + (block * 64 + (start // 4)[:, None] + word)
    d_at = xd + (block * 8 + start // 32)
    sum_at = x16 + (block * 16 + start // 16)
    # every part has a step; the weights of its first one are on their way before the activations are there
    a, b, top = tl.load(low_at), tl.load(low_at + 4), tl.load(high_at)
    s, half_d = tl.load(scales_at), tl.load(half_d_at)
    wait_for_previous(DEPENDENT)
    total = _products(a, b, top, s, half_d, x_at, d_at, sum_at, ASSEMBLY)
    for _ in range(first + 1, last):
        low_at += BLOCKS * 32
        high_at += BLOCKS * 16
        scales_at += BLOCKS * 4
        half_d_at += BLOCKS
        x_at += BLOCKS * 64
        d_at += BLOCKS * 8
        sum_at += BLOCKS * 16
        a, b, top = tl.load(low_at), tl.load(low_at + 4), tl.load(high_at)
        s, half_d = tl.load(scales_at), tl.load(half_d_at)
        total += _products(a, b, top, s, half_d, x_at, d_at, sum_at, ASSEMBLY)
    store_rows(
        tl.sum(tl.reshape(total, [ROWS, UNITS]), axis=1), row, inside, out, best, best_row, activated, aq, ad, a_sum,
        a16, rows, GATED, EIGHT_BITS, BEST,
    )  # fmt: skip
