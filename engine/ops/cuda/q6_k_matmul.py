"""Q6_K matrix times many vectors, for prefill.

    y[t, n] = scale[t] * sum_k float16(d * s_i * (q[n, k] - 32)) * xh[t, k],   i = k // 16

Repeats `ops.reference.matmul`. Weights and activations are float16, sums float32 (`tl.dot` of float16 operands has no
other precision): relative L2 about 3e-4, NMSE at most 1e-6. The weights are the left operand, as in `q4_k_matmul`.

A step is one sub-block of 16 weights per row: the narrowest product that tensor cores do.
The launcher guarantees: planes as in `q6_k_matvec`; xh and scale are those of `half_rows`; all arrays are contiguous.
Rows and tokens past the last are computed from the last and not stored.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def q6_k_matmul(
    low: tl.tensor,
    high: tl.tensor,
    scales: tl.tensor,
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
    """low (N, 128 * blocks), high (N, 64 * blocks) uint8; scales (N, 4 * blocks) int32; d (N, blocks) float16; xh (T,
    256 * blocks) float16; scale (T,), out (T, N) float32. Grid: row tiles, token tiles, 1."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    byte = tl.arange(0, 16)
    safe = tl.minimum(row, rows - 1).to(tl.int64) * blocks
    low_at = low + safe[:, None] * 128 + byte[None, :]
    high_at = high + safe[:, None] * 64 + byte[None, :]
    x_at = xh + (tl.minimum(token, tokens - 1).to(tl.int64) * (blocks * 256))[None, :] + byte[:, None]
    total = tl.zeros([ROWS, TOKENS], tl.float32)
    for block in range(blocks):
        half_d = tl.load(d + safe + block).to(tl.float32)
        for unit in tl.static_range(4):
            a = tl.load(low_at + 32 * unit)
            b = tl.load(low_at + (32 * unit + 16))
            top = tl.load(high_at + 16 * unit)
            s = tl.load(scales + (safe + block) * 4 + unit)
            for k in tl.static_range(4):
                nibbles = a if k % 2 == 0 else b
                q = (nibbles >> 4 * (k // 2) & 15 | (top >> 2 * k & 3) << 4).to(tl.float32) - 32.0
                step = half_d * (s << 24 - 8 * k >> 24).to(tl.float32)
                x = tl.load(x_at + (128 * (unit // 2) + 32 * k + 16 * (unit % 2)))
                total = tl.dot((step[:, None] * q).to(tl.float16), x, total, out_dtype=tl.float32)
        low_at += 128
        high_at += 64
        x_at += 256
    y = total * tl.load(scale + tl.minimum(token, tokens - 1))[None, :]
    inside = (row < rows)[:, None] & (token < tokens)[None, :]
    tl.store(out + token.to(tl.int64)[None, :] * rows + row[:, None], y, mask=inside)
