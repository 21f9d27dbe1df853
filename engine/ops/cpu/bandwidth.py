"""How fast this machine reads memory: the ceiling of decode, which reads every weight once per token."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import carray

from engine.ops.cpu.compiled import callback
from engine.ops.cpu.pool import Pool

_BYTES = 512 << 20
_PARTS = 64


def _probe() -> int:
    @callback("void(CPointer(int64), int64)")
    def read(words: object, part: int) -> None:
        """Sum of the part's words, kept so that no read is left out: of eight places at once, each with its own sum.

        Several streams, because what a processor fetches ahead in one ends at each page.
        """
        numbers = carray(words, _BYTES // 8)
        length = _BYTES // 8 // _PARTS
        eighth = length // 8
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0
        for i in range(part * length, part * length + eighth, 8):
            s0 += numbers[i]
            s1 += numbers[i + eighth]
            s2 += numbers[i + 2 * eighth]
            s3 += numbers[i + 3 * eighth]
            s4 += numbers[i + 4 * eighth]
            s5 += numbers[i + 5 * eighth]
            s6 += numbers[i + 6 * eighth]
            s7 += numbers[i + 7 * eighth]
        numbers[part * length] = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7

    return int(read.address)


def read_bandwidth(threads: int, *, rounds: int = 5, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Bytes per second of reading 512 MiB once, one word of every cache line, per round."""
    numbers = np.zeros(_BYTES // 8, np.int64)
    numbers[::512] = 1  # every page exists
    pool, function = Pool(threads), _probe()
    found = []
    for _ in range(rounds + 1):
        start = clock()
        pool.run(function, numbers.ctypes.data, _PARTS)
        found.append(_BYTES / (clock() - start))
    return found[1:]
