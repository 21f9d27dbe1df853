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
    """A sliding window does not count the query's own position.

    Seen in transformers #26792, #39408, mlx-lm #390.
    """

    def wrong(attention: Any, *args: Any, window: int | None = None) -> Any:
        return attention(*args, window=window and window + 1)

    return on_ops("attention", wrong)


def attention_sees_itself_only() -> Seeded:
    """Every token attends to its own slot alone."""

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **_: Any) -> Any:
        first = np.zeros(1, np.int64)
        rows = [attention(q[t : t + 1], k[p : p + 1], v[p : p + 1], first) for t, p in enumerate(positions)]
        return np.concatenate(rows)

    return on_ops("attention", wrong)


def mask_skipped_in_prefill() -> Seeded:
    """Every token of a prompt sees the whole prompt, as where a mask is only made without a cache.

    Seen in TinyLLM #17.
    """

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> Any:
        return attention(q, k, v, np.full_like(positions, len(k) - 1), **limits)

    return on_ops("attention", wrong)


def mask_of_the_chunk_alone() -> Seeded:
    """Of several new tokens none sees what is cached before them: the mask is T x T.

    Seen in candle #3743, meta-llama/llama #899.
    """

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> Any:
        start = int(positions[0]) if len(positions) > 1 else 0
        return attention(q, k[start:], v[start:], positions - start, **limits)

    return on_ops("attention", wrong)


def window_ignored() -> Seeded:
    """Layers with a sliding window see everything."""

    def wrong(attention: Any, *args: Any, window: int | None = None) -> Any:
        del window
        return attention(*args)

    return on_ops("attention", wrong)
