"""The formulas of one transformer layer, term by term in float64; slow, and shared with nobody.

    rms_norm    w[i] * x[i] / sqrt(sum x^2 / n + eps)
    rope        (x[i] + j x[i + n/2]) * exp(j * position * theta^(-2i/n)),  0 <= i < n/2
    scaled_rope (x[a] + j x[b]) * m * exp(j * position * f[i] * theta^(-2i/n)),  a, b = i, i + n/2 or 2i, 2i + 1
    attention   sum_s p[s] v[s],  p = softmax over position - window < s <= position of q . k[s] / sqrt(n)
    swiglu      gate * sigmoid(gate) * up

Source: Zhang and Sennrich 2019 (RMSNorm); Su et al. 2021 (RoPE, with the halves of GPT-NeoX as pairs); Vaswani et al.
2017 and Ainslie et al. 2023 (attention, grouped heads); Shazeer 2020 (SwiGLU).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

Row = Sequence[float]


def rms_norm(x: Row, weight: Row, eps: float) -> list[float]:
    root = math.sqrt(math.fsum(value * value for value in x) / len(x) + eps)
    return [w * value / root for w, value in zip(weight, x, strict=True)]


def rope(x: Row, position: int, theta: float) -> list[float]:
    half = len(x) // 2
    turned = [complex(x[i], x[i + half]) * cmath.exp(1j * position * theta ** (-2 * i / len(x))) for i in range(half)]
    return [z.real for z in turned] + [z.imag for z in turned]


def scaled_rope(x: Row, position: int, theta: float, factors: Row, magnitude: float, *, adjacent: bool) -> list[float]:
    half = len(x) // 2
    out = [0.0] * len(x)
    for i in range(half):
        a, b = (2 * i, 2 * i + 1) if adjacent else (i, i + half)
        turned = complex(x[a], x[b]) * cmath.rect(magnitude, position * factors[i] * theta ** (-2 * i / len(x)))
        out[a], out[b] = turned.real, turned.imag
    return out


def attention(
    q: Sequence[Sequence[Row]],
    k: Sequence[Sequence[Row]],
    v: Sequence[Sequence[Row]],
    positions: Sequence[int],
    window: int | None = None,
) -> list[list[list[float]]]:
    """q (T, H, Dh), k and v (S, Hkv, Dh): (T, H, Dh)."""
    heads, kv_heads, size = len(q[0]), len(k[0]), len(q[0][0])
    result = []
    for token, position in zip(q, positions, strict=True):
        row = []
        for head, query in enumerate(token):
            group = head // (heads // kv_heads)
            seen = range(0 if window is None else max(0, position + 1 - window), position + 1)
            scores = [math.fsum(a * b for a, b in zip(query, k[s][group], strict=True)) / math.sqrt(size) for s in seen]
            largest = max(scores)
            weights = {s: math.exp(score - largest) for s, score in zip(seen, scores, strict=True)}
            total = math.fsum(weights.values())
            row.append([math.fsum(weights[s] * v[s][group][i] for s in seen) / total for i in range(size)])
        result.append(row)
    return result


def swiglu(gate: float, up: float) -> float:
    sigmoid = 1 / (1 + math.exp(-gate)) if gate >= 0 else math.exp(gate) / (1 + math.exp(gate))
    return gate * sigmoid * up
