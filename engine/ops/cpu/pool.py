"""A few threads that share the parts of one job after another, handed over in about a microsecond.

numba's own parallel regions take 40 to 50 us each, Python's thread pools more; a forward of a small model has two
hundred regions of 20 to 100 us. Here a worker waits inside compiled code, without the interpreter lock, reading one
word; after 2 ms without work it goes to sleep and the next job wakes it.

    word 0  ticket   generation << 40 | parts << 20 | next part      one atomic addition takes a part
    word 8  done     parts finished
    word 16 function address of void(arguments, part)
    word 17 arguments address

A part is run by whoever takes it; the caller takes parts too and returns when all are done, so a worker that sleeps
or is not scheduled delays nothing but the part it holds. A ticket carries its own number of parts: whoever reads an
old one can tell that nothing is left, without looking at a job that may be gone.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
import os
import threading

import numpy as np
from numba import config

from engine.ops.cpu.compiled import compiled
from engine.ops.cpu.llvm import add_word, breathe, call_address, read_word, write_word
from engine.ops.cpu.runner import Arrays, Words

# Words 0 and 8 are 64 bytes apart: takers of parts and finishers do not share a cache line.
_TICKET, _DONE, _FUNCTION, _ARGUMENTS = 0, 8, 16, 17
_WORDS = 24
_PARTS_CAP = (1 << 20) - 64
# A look at the ticket and a pause take about 40 cycles: some 2 ms.
_LOOKS = 150_000


@compiled()
def _take_parts(state: int) -> int:
    """Run parts of the current job until none is left; their number."""
    count = 0
    while True:
        ticket = read_word(state, _TICKET)
        if (ticket & 0xFFFFF) >= ((ticket >> 20) & 0xFFFFF):
            return count
        ticket = add_word(state, _TICKET, 1)
        part = ticket & 0xFFFFF
        if part >= ((ticket >> 20) & 0xFFFFF):
            return count
        call_address(read_word(state, _FUNCTION), read_word(state, _ARGUMENTS), part)
        add_word(state, _DONE, 1)
        count += 1


@compiled()
def _serve(state: int, looks: int) -> int:
    """Help with every job until there was none for `looks` looks; parts run."""
    count, idle = 0, 0
    while idle < looks:
        found = _take_parts(state)
        if found:
            count += found
            idle = 0
        else:
            breathe()
            idle += 1
    return count


@compiled()
def _run(state: int, function: int, arguments: int, parts: int) -> None:
    """Publish a job, help with it, and wait for its last part."""
    write_word(state, _DONE, 0)
    write_word(state, _FUNCTION, function)
    write_word(state, _ARGUMENTS, arguments)
    generation = (read_word(state, _TICKET) >> 40) + 1
    write_word(state, _TICKET, (generation & 0x3FFFFF) << 40 | parts << 20)
    _take_parts(state)
    while read_word(state, _DONE) < parts:
        breathe()


@compiled()
def _run_all(state: int, stages: int, count: int) -> None:
    """Run `count` jobs, three words each: function, arguments, parts."""
    for stage in range(count):
        function = read_word(stages, 3 * stage)
        arguments, parts = read_word(stages, 3 * stage + 1), read_word(stages, 3 * stage + 2)
        if parts == 1:
            call_address(function, arguments, 0)
        else:
            _run(state, function, arguments, parts)


class Pool:
    """`threads` threads, the caller's among them. Jobs run one at a time; callers may come from several threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._words = np.zeros(_WORDS + 8, np.int64)
        self._state = self._words.ctypes.data + -self._words.ctypes.data % 64
        self._lock = threading.Lock()
        self._wake = threading.Semaphore(0)
        self._asleep = 0
        self._started = 1
        self._owner = os.getpid()

    def run(
        self,
        function: int,
        words: Words,
        parts: int,
        *,
        reads: Arrays = (),  # noqa: ARG002 - for those who record
        makes: Arrays = (),  # noqa: ARG002
        keeps: Arrays = (),  # noqa: ARG002
    ) -> None:
        """As `engine.ops.cpu.runner.Runner`."""
        with self._lock:
            self._assemble(alone=parts == 1)
            _run(self._state, function, words.ctypes.data, min(parts, _PARTS_CAP))

    def run_all(self, stages: Words) -> None:
        """Run jobs one behind the other.

        Args:
            stages: (jobs, 3): address of the function, address of its words, parts; one part is run by the caller.
        """
        with self._lock:
            self._assemble(alone=False)
            _run_all(self._state, stages.ctypes.data, len(stages))

    def _assemble(self, *, alone: bool) -> None:
        """Start or wake the other threads."""
        if self._owner != os.getpid():
            # a forked child has the memory of its parent, not its threads
            self._owner, self._started, self._asleep = os.getpid(), 1, 0
            self._wake = threading.Semaphore(0)
        if alone:
            return
        while self._started < self.threads:
            threading.Thread(target=self._work, args=(self._owner,), daemon=True, name="q4k").start()
            self._started += 1
        if self._asleep:
            count, self._asleep = self._asleep, 0
            self._wake.release(count)

    def prepare(self) -> None:
        """Load what the threads run."""
        _serve(self._state, 0)
        self.run_all(np.empty((0, 3), np.int64))

    def _work(self, owner: int) -> None:
        while self._owner == owner:
            if not _serve(self._state, _LOOKS):
                self._asleep += 1
                self._wake.acquire()


def cores() -> int:
    """Cores that this process may use, or fewer if the environment says so in NUMBA_NUM_THREADS."""
    return int(config.NUMBA_NUM_THREADS)


@functools.cache
def shared(threads: int) -> Pool:
    """The one pool with so many threads; those of a pool that has no work sleep."""
    return Pool(threads)
