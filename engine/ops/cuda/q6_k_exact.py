"""Q6_K matrix times float32 vector: the exact mode.

    y[n] = sum_k x[k] * d * s_i * (q_k - 32),   i = k // 16

Repeats `ops.reference.matmul`: weights with the roundings of `engine.quant.q6_k`, sums in float32, relative L2 at most
2e-6 against float64. Each token is computed alone, so a result does not depend on how many there are.

Planes and guarantees as in `q6_k_matvec`; x is (T, K) float32, contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def q6_k_exact(
    low: tl.tensor,
    high: tl.tensor,
    scales: tl.tensor,
    d: tl.tensor,
    x: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    blocks: tl.tensor,
    ROWS: tl.constexpr,
    BLOCKS: tl.constexpr,
) -> None:
    """Planes as in `q6_k_matvec`; x (T, 256 * blocks) float32; out (T, N) float32. Grid: row tiles, 1, T."""
    UNITS: tl.constexpr = 4 * BLOCKS
    token = tl.program_id(2)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, UNITS)
    word = tl.arange(0, 4)[None, None, :]
    safe = tl.minimum(row, rows - 1).to(tl.int64) * blocks
    low_at = low + ((safe * 32)[:, None, None] + (unit * 8)[None, :, None] + word)
    high_at = high + ((safe * 16)[:, None, None] + (unit * 4)[None, :, None] + word)
    scales_at = scales + ((safe * 4)[:, None] + unit[None, :])
    d_at = d + (safe[:, None] + (unit // 4)[None, :])
    x_at = x + (token * blocks * 256 + (unit // 2 * 128 + unit % 2 * 16)[None, :, None] + word * 4)
    total = tl.zeros([ROWS, UNITS, 4], tl.float32)
    for _ in range(blocks // BLOCKS):
        s, scale = tl.load(scales_at), tl.load(d_at).to(tl.float32)
        top = tl.load(high_at)
        for k in tl.static_range(4):
            nibbles = tl.load(low_at + 4 * (k % 2)) >> 4 * (k // 2)
            step = (scale * (s << 24 - 8 * k >> 24).to(tl.float32))[:, :, None]
            for byte in tl.static_range(4):
                q = (nibbles >> 8 * byte & 15) | (top >> 8 * byte + 2 * k & 3) << 4
                total += step * (q - 32).to(tl.float32) * tl.load(x_at + (32 * k + byte))
        low_at += BLOCKS * 32
        high_at += BLOCKS * 16
        scales_at += BLOCKS * 4
        d_at += BLOCKS
        x_at += BLOCKS * 256
    y = tl.sum(tl.sum(total, axis=2), axis=1)
    tl.store(out + token.to(tl.int64) * rows + row, y, mask=row < rows)
