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


@triton.jit
def float_matvec(
    w: tl.tensor,
    x: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """w (N, K) float32, float16 or bfloat16; x (T, K) float32; out (T, N) float32. Grid: row tiles, 1, T."""
    token = tl.program_id(2)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)[None, :]
    w_at = w + tl.minimum(row, rows - 1).to(tl.int64)[:, None] * columns
    x_at = x + token.to(tl.int64) * columns
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, columns, COLUMNS):
        inside = start + column < columns
        weights = tl.load(w_at + (start + column), mask=inside, other=0).to(tl.float32)
        total += weights * tl.load(x_at + (start + column), mask=inside, other=0)
    tl.store(out + token.to(tl.int64) * rows + row, tl.sum(total, axis=1), mask=row < rows)
