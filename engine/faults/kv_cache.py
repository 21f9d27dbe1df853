"""Keys and values of earlier tokens: slots, and what stays between answers."""

from __future__ import annotations

from typing import Any

from engine import kv_cache
from engine.faults.seeding import Seeded, seeded
from engine.ops.protocol import F32


def kv_cache_not_reset() -> Seeded:
    """The next answer sees the conversation before it."""

    def wrong(reset: Any, cache: kv_cache.KvCache) -> None:
        del reset, cache

    return seeded((kv_cache.KvCache, "reset", wrong))


def kv_cache_off_by_one() -> Seeded:
    """New keys and values are written one slot early, over the last token before them."""

    def wrong(write: Any, cache: kv_cache.KvCache, layer: int, start: int, k: F32, v: F32) -> None:
        write(cache, layer, max(start - 1, 0), k, v)

    return seeded((kv_cache.KvCache, "_write", wrong))
