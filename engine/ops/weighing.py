"""Attention weights as a backend's own attention has them: it is given values that are 1 at one slot and 0 elsewhere.

    y[t, h, i]  = sum_s softmax_s(q[t, h] . k[s, g] / sqrt(Dh)) * e[s, i] = softmax of slot first + i
                  with e[s, i] = 1 if s = first + i else 0,  first = 0, Dh, 2 Dh, ...

Products with 0 and 1 are exact, so nothing is rounded but what the backend rounds on its way to a weight; a mask, a
scale or a head that is wrong in the kernel is wrong here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.ops.protocol import F32, I64, Ops


def scores(ops: Ops, q: Any, k: Any, positions: I64, *, window: int | None = None) -> F32:
    """Weights (T, H, S) of the S slots up to the last position, 0 at those that a query does not see.

    Args:
        q: (T, H, Dh), rotated; k: (S or more, Hkv, Dh), rotated; both as the backend has them.
    """
    limits: dict[str, Any] = {} if window is None else {"window": window}
    tokens, heads, size = q.shape
    slots = int(positions.max()) + 1
    out = np.empty((tokens, heads, slots), np.float32)
    zeros_like = getattr(ops, "zeros_like", np.zeros_like)
    for first in range(0, slots, size):
        count = min(size, slots - first)
        values = zeros_like(k)
        values[list(range(first, first + count)), :, list(range(count))] = 1
        mixed: Any = ops.attention(q, k, values, positions, **limits)
        found = mixed if isinstance(mixed, np.ndarray) else mixed.cpu().numpy()
        out[:, :, first : first + count] = found.reshape(tokens, heads, size)[:, :, :count]
    return out
