"""Memory for weights: large arrays, which numpy asks the system to back with huge pages.

A matrix-vector product waits for memory, and what the processor fetches ahead ends at a page: one thread reads 24 GB/s
from pages of 4 KiB and 31 GB/s from pages of 2 MiB (Zen 4, Linux, 1 GiB read once). numpy asks for huge pages from
4 MiB on; most weights of a small model are shorter, so they lie one behind the other in larger arrays, of a quarter of
what there is already. Memory of the last one that is not written is not resident. None of it is part of the heap, where
weights that stay would lie between activations that go.
"""

from __future__ import annotations

import threading

import numpy as np

from engine.ops.cpu.allocator import outside_the_heap

_LEAST_BYTES, _MOST_BYTES = 4 << 20, 64 << 20
_HUGE_PAGE = 2 << 20
_LINE = 64

Dwords = np.ndarray[tuple[int], np.dtype[np.uint32]]


class Arena:
    """Hands out memory; what it took from the system goes back when the last array on it has gone."""

    def __init__(self) -> None:
        self._rooms: list[Dwords] = []
        self._taken = 0
        self._lock = threading.Lock()

    def dwords(self, count: int) -> Dwords:
        """So many uint32, uninitialised, that start at a cache line; they are resident once they are written."""
        taken = -(-4 * count // _LINE) * _LINE // 4
        with self._lock:
            self._taken += 4 * taken
            number = next((n for n, room in enumerate(self._rooms) if room.size >= taken), None)
            if number is None:
                number = len(self._rooms)
                self._rooms.append(_chunk(4 * taken, min(_MOST_BYTES, self._taken // 4)))
            room = self._rooms[number]
            self._rooms[number] = room[taken:]
        return room[:count]


def _chunk(needed_bytes: int, wanted_bytes: int) -> Dwords:
    """Uninitialised memory: what is needed, or what is wanted where huge pages are worth it, starting at one."""
    size = max(needed_bytes, wanted_bytes)
    if size < _LEAST_BYTES:
        return _aligned(np.empty((needed_bytes + _LINE) // 4, np.uint32), _LINE, needed_bytes)
    size = -(-size // _HUGE_PAGE) * _HUGE_PAGE  # the last page is resident as a whole
    with outside_the_heap():
        return _aligned(np.empty((size + _HUGE_PAGE) // 4, np.uint32), _HUGE_PAGE, size)


def _aligned(room: Dwords, alignment: int, size: int) -> Dwords:
    start = -room.ctypes.data % alignment // 4
    return room[start : start + size // 4]
