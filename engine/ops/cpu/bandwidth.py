"""How fast this machine reads memory: the ceiling of decode, which reads every weight once per token."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numba import carray

from engine.ops.cpu.compiled import callback
from engine.ops.cpu.pool import Pool
from engine.ops.cpu.runner import JOB

_BYTES = 512 << 20
_PARTS = 64


def _probe() -> int:
    @callback(JOB)
    def read(words: object, part: int) -> None:
        """Sum of the part's words, kept so that no read is left out.

        One stream, every word: what a processor fetches ahead follows addresses that only grow. One word of every cache
        line finds half as much, and eight streams three fifths.
        """
        numbers = carray(words, _BYTES // 8)
        length = _BYTES // 8 // _PARTS
        total = 0
        for number in numbers[part * length : (part + 1) * length]:
            total += number
        numbers[part * length] = total

    return int(read.address)


def reads(threads: int, *, clock: Callable[[], float] = time.perf_counter) -> Iterator[float]:
    """Bytes per second of reading the same 512 MiB, again and again; the memory is held meanwhile."""
    numbers = np.zeros(_BYTES // 8, np.int64)
    numbers[::512] = 1  # every page exists
    pool, function = Pool(threads), _probe()
    pool.run(function, numbers, _PARTS)
    while True:
        start = clock()
        pool.run(function, numbers, _PARTS)
        yield _BYTES / (clock() - start)


def read_bandwidth(threads: int, *, rounds: int = 5, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Bytes per second of reading 512 MiB once, per round."""
    return list(islice(reads(threads, clock=clock), rounds))
