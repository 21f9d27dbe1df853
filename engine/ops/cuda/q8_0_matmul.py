"""Q8_0 matrix times many vectors, for prefill.

    y[t, n] = scale[t] * sum_k float16(d_j * q[n, k]) * xh[t, k],   j = k // 32

Repeats `ops.reference.matmul`. Weights and activations are float16, sums float32 (`tl.dot` of float16 operands has no
other precision): relative L2 about 3e-4, NMSE at most 1e-6. The weights are the left operand, as in `q4_k_matmul`.

The launcher guarantees: planes as in `q8_0_matvec`; xh and scale are those of `half_rows`; all arrays are contiguous.
Rows and tokens past the last are computed from the last and not stored.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def q8_0_matmul(
    quants: tl.tensor,
    d: tl.tensor,
    xh: tl.tensor,
    scale: tl.tensor,
    out: tl.tensor,
    tokens: tl.tensor,
    rows: tl.tensor,
    blocks: tl.tensor,
    ROWS: tl.constexpr,
    TOKENS: tl.constexpr,
) -> None:
    """quants (N, 32 * blocks) int8; d (N, blocks) float16; xh (T, 32 * blocks) float16; scale (T,), out (T, N) float32.
    Grid: row tiles, token tiles, 1."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    column = tl.arange(0, 32)
    safe = tl.minimum(row, rows - 1).to(tl.int64) * blocks
    q_at = quants + safe[:, None] * 32 + column[None, :]
    x_at = xh + (tl.minimum(token, tokens - 1).to(tl.int64) * (blocks * 32))[None, :] + column[:, None]
    total = tl.zeros([ROWS, TOKENS], tl.float32)
    for block in range(blocks):
        step = tl.load(d + safe + block).to(tl.float32)
        weights = (step[:, None] * tl.load(q_at).to(tl.float32)).to(tl.float16)
        total = tl.dot(weights, tl.load(x_at), total, out_dtype=tl.float32)
        q_at += 32
        x_at += 32
    y = total * tl.load(scale + tl.minimum(token, tokens - 1))[None, :]
    inside = (row < rows)[:, None] & (token < tokens)[None, :]
    tl.store(out + token.to(tl.int64)[None, :] * rows + row[:, None], y, mask=inside)
