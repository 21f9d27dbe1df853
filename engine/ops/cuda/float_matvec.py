"""F32, F16 or BF16 matrix times float32 vector.

    y[n] = sum_k W[n, k] * x[k]

Repeats `ops.reference.matmul`: weights are widened exactly, sums are float32: relative L2 at most 1e-6 against float64
(K = 18944 terms in COLUMNS lanes, then a tree). Each token is computed alone.

The launcher guarantees: w is (N, K) and x (T, K), both contiguous; K is arbitrary, columns past it count as 0.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.row_tile import store_rows, tile_rows


@triton.jit
def float_matvec(
    w: tl.tensor,
    x: tl.tensor,
    out: tl.tensor,
    best: tl.tensor,
    best_row: tl.tensor,
    activated: tl.tensor,
    aq: tl.tensor,
    ad: tl.tensor,
    a_sum: tl.tensor,
    a16: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    GATED: tl.constexpr,
    EIGHT_BITS: tl.constexpr,
    BEST: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """w (N, K) float32, float16 or bfloat16; x (T, K) float32; out (1, T, N) float32; the rest as
    in `store_rows`. Grid: row tiles, 1, T."""
    release_next(DEPENDENT)
    token = tl.program_id(2)
    row, inside = tile_rows(tl.arange(0, ROWS), rows, ROWS, GATED)
    column = tl.arange(0, COLUMNS)[None, :]
    w_at = w + tl.minimum(row, rows - 1).to(tl.int64)[:, None] * columns
    x_at = x + token.to(tl.int64) * columns
    # the first weights are on their way before the activations are there
    weights = tl.load(w_at + column, mask=column < columns, other=0)
    wait_for_previous(DEPENDENT)
    total = weights.to(tl.float32) * tl.load(x_at + column, mask=column < columns, other=0)
    for start in range(COLUMNS, columns, COLUMNS):
        within = start + column < columns
        weights = tl.load(w_at + (start + column), mask=within, other=0)
        total += weights.to(tl.float32) * tl.load(x_at + (start + column), mask=within, other=0)
    store_rows(
        tl.sum(total, axis=1), row, inside, out, best, best_row, activated, aq, ad, a_sum, a16, rows,
        GATED, EIGHT_BITS, BEST,
    )  # fmt: skip
