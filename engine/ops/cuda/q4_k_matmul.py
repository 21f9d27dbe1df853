"""Q4_K matrix times many vectors, for prefill.

    y[t, n] = scale[t] * sum_k float16(d * s_j * q[n, k] - dmin * m_j) * xh[t, k],   j = k // 32

Repeats `ops.reference.matmul`. Weights and activations are float16, sums float32 (`tl.dot` of float16 operands has no
other precision): relative L2 about 3e-4, NMSE at most 1e-6.

The weights are the left operand, so that on sm_90 the decoded tile goes from registers into wgmma. A chunk of 64
weights is two products of 32 columns, low nibbles and high nibbles, and nothing is shuffled.

The launcher guarantees: w is (N, 144 * blocks) bytes, 16-byte aligned; xh and scale are those of `half_rows`;
all arrays are contiguous. Rows and tokens past the last are computed from the last and not stored.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def q4_k_matmul(
    w: tl.tensor,
    xh: tl.tensor,
    scale: tl.tensor,
    out: tl.tensor,
    tokens: tl.tensor,
    rows: tl.tensor,
    blocks: tl.tensor,
    ROWS: tl.constexpr,
    TOKENS: tl.constexpr,
) -> None:
    """w (N, 144 * blocks) uint8; xh (T, 256 * blocks) float16; scale (T,), out (T, N) float32.
    Grid: row tiles, token tiles, 1."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    byte = tl.arange(0, 32)
    w_at = w + tl.minimum(row, rows - 1).to(tl.int64) * (blocks * 144)
    x_at = xh + (tl.minimum(token, tokens - 1).to(tl.int64) * (blocks * 256))[None, :] + byte[:, None]
    total = tl.zeros([ROWS, TOKENS], tl.float32)
    for _ in range(blocks):
        words = w_at.to(tl.pointer_type(tl.int32))
        halves = tl.load(words)
        d = halves.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
        dmin = (halves >> 16).to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
        packed_s, packed_m, packed_low = tl.load(words + 1), tl.load(words + 2), tl.load(words + 3)
        for p in tl.static_range(4):
            quants = tl.load(w_at[:, None] + (16 + 32 * p) + byte[None, :])
            for high in tl.static_range(2):
                at = 8 * (p % 2 * 2 + high)
                if p < 2:
                    s = packed_s >> at & 63
                    m = packed_m >> at & 63
                else:
                    s = packed_low >> at & 15 | (packed_s >> at + 2 & 48)
                    m = packed_low >> at + 4 & 15 | (packed_m >> at + 2 & 48)
                q = (quants >> 4 * high & 15).to(tl.float32)
                weights = (d * s.to(tl.float32))[:, None] * q - (dmin * m.to(tl.float32))[:, None]
                x = tl.load(x_at + (64 * p + 32 * high))
                total = tl.dot(weights.to(tl.float16), x, total, out_dtype=tl.float32)
        w_at += 144
        x_at += 256
    y = total * tl.load(scale + tl.minimum(token, tokens - 1))[None, :]
    inside = (row < rows)[:, None] & (token < tokens)[None, :]
    tl.store(out + token.to(tl.int64)[None, :] * rows + row[:, None], y, mask=inside)
