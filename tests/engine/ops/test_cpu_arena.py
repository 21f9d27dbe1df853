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


def test_small_arrays_follow_one_another_behind_large_ones() -> None:
    arena = Arena()
    arena.dwords(5 << 20)  # 20 MiB; it is not written, so it takes no memory
    first, second = arena.dwords(100), arena.dwords(100)
    assert second.ctypes.data - first.ctypes.data == 448  # 400 bytes, up to the next line


def test_a_large_array_starts_at_a_huge_page_and_leaves_room_for_small_ones() -> None:
    arena = Arena()
    arena.dwords(5 << 20)
    small = arena.dwords(16)
    large = arena.dwords(20 << 20)
    last = arena.dwords(16)
    assert large.size == 20 << 20
    assert large.ctypes.data % (2 << 20) == 0
    assert last.ctypes.data - small.ctypes.data == 64


def test_a_small_model_takes_what_it_needs() -> None:
    arena = Arena()
    arrays = [arena.dwords(1000) for _ in range(50)]
    bases = {id(array.base): array.base for array in arrays}
    assert sum(base.nbytes for base in bases.values() if base is not None) <= 50 * (4000 + 2 * 64)


def test_memory_outlives_the_arena() -> None:
    array = Arena().dwords(8)
    array[:] = 7
    assert np.array_equal(array, [7] * 8)
