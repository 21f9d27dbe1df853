"""A few threads that share the parts of one job after another, handed over in about a microsecond.

numba's own parallel regions take 40 to 50 us each, Python's thread pools more; a forward of a small model has two
hundred regions of 20 to 100 us. Here a worker waits inside compiled code, without the interpreter lock, reading one
word; after 2 ms without work it goes to sleep and the next job wakes it. How is said in `engine.ops.cpu.kernels.pool`.

A part is run by whoever takes it; the caller takes parts too and returns when all are done, so a worker that sleeps
or is not scheduled delays nothing but the part it holds. A ticket carries its own number of parts: whoever reads an
old one can tell that nothing is left, without looking at a job that may be gone.
"""

from __future__ import annotations

import functools
import os
import threading

import numpy as np

from engine.ops.cpu.machine_code import Kernel, kernel_function
from engine.ops.cpu.runner import Arrays, Words

# Of which the first starts at a cache line.
_WORDS, _LINE_WORDS = 24, 8
_PARTS_CAP = (1 << 20) - 64
# A look at the ticket and a pause take about 40 cycles: some 2 ms.
_LOOKS = 150_000


KERNELS: tuple[Kernel, ...] = (("serve",), ("share",), ("share_all",))
"""What a pool runs."""
_serve = functools.partial(kernel_function, "serve", arguments=2)
_share = functools.partial(kernel_function, "share", arguments=4)
_share_all = functools.partial(kernel_function, "share_all", arguments=3)


class Pool:
    """`threads` threads, the caller's among them. Jobs run one at a time; callers may come from several threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._words = np.zeros(_WORDS + _LINE_WORDS, np.int64)
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
            _share()(self._state, function, words.ctypes.data, min(parts, _PARTS_CAP))

    def run_all(self, stages: Words) -> None:
        """Run jobs one behind the other.

        Args:
            stages: (jobs, 3): address of the function, address of its words, parts; one part is run by the caller.
        """
        with self._lock:
            self._assemble(alone=False)
            _share_all()(self._state, stages.ctypes.data, len(stages))

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

    def _work(self, owner: int) -> None:
        while self._owner == owner:
            if not _serve()(self._state, _LOOKS):
                self._asleep += 1
                self._wake.acquire()


@functools.cache
def shared(threads: int) -> Pool:
    """The one pool with so many threads; those of a pool that has no work sleep."""
    return Pool(threads)
