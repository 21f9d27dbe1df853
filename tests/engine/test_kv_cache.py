from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.errors import ContextError, ShapeError
from engine.kv_cache import KvCache


def keys(start: int, count: int) -> np.ndarray:
    """(count, 1, 2) arrays that say their own position."""
    return np.repeat(np.arange(start, start + count, dtype=np.float32), 2).reshape(count, 1, 2)


def test_slots_hold_positions_through_growth():
    """600 positions in unequal steps: past the first capacity of 256 twice."""
    cache = KvCache(2, 1, 2, 1000)
    position = 0
    for count in (1, 250, 10, 300, 39):
        for layer in range(2):
            cache.append(layer, keys(position, count), -keys(position, count))
        position += count
        assert cache.length == position
    for layer in range(2):
        k, v = cache.view(layer)
        assert_array_equal(k, keys(0, 600))
        assert_array_equal(v, -keys(0, 600))


def test_view_holds_the_tokens_being_appended():
    """Attention of a layer needs its own new tokens before the last layer has them."""
    cache = KvCache(2, 1, 2, 8)
    cache.append(0, keys(0, 3), keys(0, 3))
    assert cache.view(0)[0].shape == (3, 1, 2)
    assert cache.length == 0


def test_interrupted_forward_leaves_no_trace():
    """Layer 0 was written, layer 1 not: the next forward writes the same slots again."""
    cache = KvCache(2, 1, 2, 8)
    for layer in range(2):
        cache.append(layer, keys(0, 2), keys(0, 2))
    cache.append(0, keys(70, 3), keys(70, 3))
    for layer in range(2):
        cache.append(layer, keys(2, 1), keys(2, 1))
        assert_array_equal(cache.view(layer)[0], keys(0, 3))
    assert cache.length == 3


def test_reset_and_truncate_forget():
    cache = KvCache(1, 1, 2, 8)
    cache.append(0, keys(0, 5), keys(0, 5))
    cache.truncate(3)
    assert_array_equal(cache.view(0)[0], keys(0, 3))
    cache.truncate(7)
    assert cache.length == 3
    cache.reset()
    assert cache.length == 0
    assert cache.view(0)[0].shape == (0, 1, 2)


def test_room_is_taken_on_demand():
    """A context of a million positions costs 256 positions until it is used."""
    cache = KvCache(1, 1, 2, 1_000_000)
    assert cache.size_bytes == 2 * 256 * 2 * 4


def test_full_cache_refuses_and_stays_as_it_is():
    cache = KvCache(1, 1, 2, 4)
    cache.append(0, keys(0, 4), keys(0, 4))
    with pytest.raises(ContextError, match="5 positions are more than the context of 4 holds"):
        cache.append(0, keys(4, 1), keys(4, 1))
    assert_array_equal(cache.view(0)[0], keys(0, 4))


@pytest.mark.parametrize("bad", [(1, 2, 2), (1, 1, 3)], ids=["heads", "head dim"])
def test_other_shapes_are_refused(bad: tuple[int, ...]):
    cache = KvCache(1, 1, 2, 4)
    with pytest.raises(ShapeError, match=r"kv cache: keys \(1, . *, .\)"):
        cache.append(0, np.zeros(bad, np.float32), np.zeros(bad, np.float32))
