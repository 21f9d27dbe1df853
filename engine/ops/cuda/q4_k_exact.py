"""Q4_K matrix times float32 vector: the exact mode.

    y[n] = sum_k x[k] * (d * s_j * q_k - dmin * m_j),   j = k // 32

Repeats `ops.reference.matmul`. Weights are decoded with the roundings of `engine.quant.q4_k` where the compiler does
not contract product and difference; sums are float32: relative L2 at most 2e-6 against float64 (K = 18944 terms in 16
lanes or more, then a tree). Each token is computed alone, so a result does not depend on how many there are.

The launcher guarantees what `q4_k_matvec` asks for; x is (T, K) float32, contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.q4_k_header import q4_k_header


@triton.jit
def q4_k_exact(
    w: tl.tensor,
    x: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    blocks: tl.tensor,
    ROWS: tl.constexpr,
    BLOCKS: tl.constexpr,
) -> None:
    """w (N, 36 * blocks) int32; x (T, 256 * blocks) float32; out (T, N) float32. Grid: row tiles, 1, T."""
    CHUNKS: tl.constexpr = 4 * BLOCKS
    token = tl.program_id(2)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    chunk = tl.arange(0, CHUNKS)
    word = tl.arange(0, 4)[None, None, :]
    lane = (tl.minimum(row, rows - 1).to(tl.int64) * (blocks * 36))[:, None, None]
    header_at = w + (lane + (chunk // 4 * 36)[None, :, None] + word)
    body_at = w + (lane + (chunk // 4 * 36 + chunk % 4 * 8 + 4)[None, :, None] + word)
    x_at = x + (token * blocks * 256 + (chunk * 64)[None, :, None] + word * 4)
    total = tl.zeros([ROWS, CHUNKS, 4], tl.float32)
    for _ in range(blocks // BLOCKS):
        d, dmin, s, m = q4_k_header(tl.load(header_at), chunk[None, :])
        scale_a = (d * (s & 0xFF).to(tl.float32))[:, :, None]
        scale_b = (d * (s >> 8 & 0xFF).to(tl.float32))[:, :, None]
        floor_a = (dmin * (m & 0xFF).to(tl.float32))[:, :, None]
        floor_b = (dmin * (m >> 8 & 0xFF).to(tl.float32))[:, :, None]
        for half in tl.static_range(2):
            packed = tl.load(body_at + 4 * half)
            for byte in tl.static_range(4):
                q_a = (packed >> 8 * byte & 15).to(tl.float32)
                q_b = (packed >> 8 * byte + 4 & 15).to(tl.float32)
                total += (scale_a * q_a - floor_a) * tl.load(x_at + (16 * half + byte))
                total += (scale_b * q_b - floor_b) * tl.load(x_at + (32 + 16 * half + byte))
        header_at += BLOCKS * 36
        body_at += BLOCKS * 36
        x_at += BLOCKS * 256
    y = tl.sum(tl.sum(total, axis=2), axis=1)
    tl.store(out + token.to(tl.int64) * rows + row, y, mask=row < rows)
