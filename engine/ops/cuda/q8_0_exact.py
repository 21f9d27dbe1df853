"""Q8_0 matrix times float32 vector: the exact mode.

    y[n] = sum_k x[k] * d_j * q_k,   j = k // 32

Repeats `ops.reference.matmul`: weights with the rounding of `engine.quant.q8_0`, sums in float32, relative L2 at most
2e-6 against float64. Each token is computed alone, so a result does not depend on how many there are.

Planes and guarantees as in `q8_0_matvec`; x is (T, K) float32, contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def q8_0_exact(
    quants: tl.tensor,
    d: tl.tensor,
    x: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    blocks: tl.tensor,
    ROWS: tl.constexpr,
    BLOCKS: tl.constexpr,
) -> None:
    """quants (N, 8 * blocks) int32; d (N, blocks) float16; x (T, 32 * blocks) float32; out (T, N) float32.
    Grid: row tiles, 1, T."""
    token = tl.program_id(2)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    block = tl.arange(0, BLOCKS)
    word = tl.arange(0, 8)[None, None, :]
    safe = tl.minimum(row, rows - 1).to(tl.int64) * blocks
    q_at = quants + ((safe * 8)[:, None, None] + (block * 8)[None, :, None] + word)
    d_at = d + (safe[:, None] + block[None, :])
    x_at = x + (token * blocks * 32 + (block * 32)[None, :, None] + word * 4)
    total = tl.zeros([ROWS, BLOCKS, 8], tl.float32)
    for _ in range(blocks // BLOCKS):
        packed = tl.load(q_at)
        scale = tl.load(d_at).to(tl.float32)[:, :, None]
        for byte in tl.static_range(4):
            total += scale * (packed << 24 - 8 * byte >> 24).to(tl.float32) * tl.load(x_at + byte)
        q_at += BLOCKS * 8
        d_at += BLOCKS
        x_at += BLOCKS * 32
    y = tl.sum(tl.sum(total, axis=2), axis=1)
    tl.store(out + token.to(tl.int64) * rows + row, y, mask=row < rows)
