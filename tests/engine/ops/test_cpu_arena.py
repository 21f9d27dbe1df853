"""Weights lie in large arrays, one behind the other."""

import numpy as np

from engine.ops.cpu.arena import Arena


def test_arrays_start_at_cache_lines_and_do_not_overlap() -> None:
    arena = Arena()
    arrays = [arena.dwords(count) for count in (1, 16, 17, 1000, 3)]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [array.size for array in arrays] == [1, 16, 17, 1000, 3]
    assert all(array.ctypes.data % 64 == 0 for array in arrays)
    assert all((array == number).all() for number, array in enumerate(arrays))


def test_a_small_array_follows_the_one_before() -> None:
    arena = Arena()
    first, second = arena.dwords(100), arena.dwords(100)
    assert second.ctypes.data - first.ctypes.data == 448  # 400 bytes, up to the next line


def test_an_array_larger_than_a_chunk_leaves_room_for_small_ones() -> None:
    arena = Arena()
    small = arena.dwords(16)
    large = arena.dwords(20 << 20)  # 80 MiB; it is not written, so it takes no memory
    last = arena.dwords(16)
    assert large.size == 20 << 20
    assert last.ctypes.data - small.ctypes.data == 64


def test_memory_outlives_the_arena() -> None:
    array = Arena().dwords(8)
    array[:] = 7
    assert np.array_equal(array, [7] * 8)
