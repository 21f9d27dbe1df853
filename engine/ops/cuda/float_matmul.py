"""F32, F16 or BF16 matrix times many vectors, for prefill.

    y[t, n] = sum_k W[n, k] * x[t, k]

Repeats `ops.reference.matmul`: weights are widened exactly and multiplied in float32 (`tl.dot` with input_precision
"ieee", no tf32), sums are float32: relative L2 at most 1e-6 against float64.

The launcher guarantees: w is (N, K) and x (T, K), both contiguous; K is arbitrary, columns past it count as 0.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def float_matmul(
    w: tl.tensor,
    x: tl.tensor,
    out: tl.tensor,
    tokens: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    ROWS: tl.constexpr,
    TOKENS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """w (N, K) float32, float16 or bfloat16; x (T, K), out (T, N) float32. Grid: row tiles, token tiles, 1."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    column = tl.arange(0, COLUMNS)
    w_at = w + tl.minimum(row, rows - 1).to(tl.int64)[:, None] * columns + column[None, :]
    x_at = x + tl.minimum(token, tokens - 1).to(tl.int64)[None, :] * columns + column[:, None]
    total = tl.zeros([ROWS, TOKENS], tl.float32)
    for start in range(0, columns, COLUMNS):
        inside = start + column < columns
        weights = tl.load(w_at + start, mask=inside[None, :], other=0).to(tl.float32)
        values = tl.load(x_at + start, mask=inside[:, None], other=0)
        total = tl.dot(weights, values, total, input_precision="ieee", out_dtype=tl.float32)
    stored = (row < rows)[:, None] & (token < tokens)[None, :]
    tl.store(out + token.to(tl.int64)[None, :] * rows + row[:, None], total, mask=stored)
