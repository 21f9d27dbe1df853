"""Attention over a sliding window: token by token, each over the slots it sees, by the same compiled loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.ops.protocol import F32, I64

Attention = Callable[[F32, F32, F32, I64], F32]


def within(window: int, attention: Attention, q: F32, k: F32, v: F32, positions: I64) -> F32:
    """As `attention` where the query at position p sees slots max(0, p - window + 1)..p alone.

    Raises:
        ShapeError: what `attention` refuses.
    """
    if positions.size == 0 or int(positions.max()) < window:
        return attention(q, k, v, positions)
    rows = []
    for token, position in enumerate(positions.tolist()):
        first = max(0, position - window + 1)
        own = np.array([position - first], np.int64)
        rows.append(attention(q[token : token + 1], k[first : position + 1], v[first : position + 1], own))
    return np.concatenate(rows)
