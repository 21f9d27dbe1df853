"""Which slots a query may see."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_ops
from engine.ops.protocol import F32, I64


def causal_mask_off_by_one() -> Seeded:
    """Each query sees the token after it as well."""

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> Any:
        return attention(q, k, v, np.minimum(positions + 1, len(k) - 1), **limits)

    return on_ops("attention", wrong)


def window_off_by_one() -> Seeded:
    """A sliding window does not count the query's own position."""

    def wrong(attention: Any, *args: Any, window: int | None = None) -> Any:
        return attention(*args, window=window and window + 1)

    return on_ops("attention", wrong)
