"""Keys and values of earlier tokens: slots, and what stays between answers."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def kv_cache_keeps_four_bits() -> Seeded:
    """Keys and values stored as float16 keep four bits of their fraction."""

    def wrong(write: Any, cache: kv_cache.KvCache, layer: int, start: int, k: F32, v: F32) -> None:
        if cache.kind == "f16":
            halves = (np.stack((k, v)).astype(np.float16).view(np.uint16) & 0xFFC0).view(np.float16)
            k, v = halves.astype(np.float32)
        write(cache, layer, start, k, v)

    return seeded((kv_cache.KvCache, "_write", wrong))


def kv_cache_growth_forgets() -> Seeded:
    """More room is made, and what was stored is not copied into it."""

    def wrong(grow: Any, cache: kv_cache.KvCache, needed: int) -> None:
        grow(cache, needed)
        for arrays in (cache._keys, cache._values):
            for array in arrays:
                array[:] = 0

    return seeded((kv_cache.KvCache, "_grow", wrong))


def kv_cache_of_one_layer() -> Seeded:
    """Every layer reads what the first one stored."""

    def wrong(view: Any, cache: kv_cache.KvCache, layer: int) -> Any:
        del layer
        return view(cache, 0)

    return seeded((kv_cache.KvCache, "view", wrong))
