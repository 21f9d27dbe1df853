"""How fast this machine reads memory: the ceiling of decode, which reads every weight once per token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from engine.ops.cpu.machine_code import kernel
from engine.ops.cpu.pool import Pool

_BYTES = 512 << 20
_PARTS = 64


def reads(threads: int, *, clock: Callable[[], float] = time.perf_counter) -> Iterator[float]:
    """Bytes per second of reading the same 512 MiB, again and again; the memory is held meanwhile."""
    numbers = np.zeros(_BYTES // 8, np.int64)
    numbers[::512] = 1  # every page exists
    pool, function = Pool(threads), kernel("read_words", _BYTES // 8, _PARTS)
    pool.run(function, numbers, _PARTS)
    while True:
        start = clock()
        pool.run(function, numbers, _PARTS)
        yield _BYTES / (clock() - start)


def read_bandwidth(threads: int, *, rounds: int = 5, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Bytes per second of reading 512 MiB once, per round."""
    return list(islice(reads(threads, clock=clock), rounds))
