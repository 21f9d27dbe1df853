"""Who runs a job: a pool of threads, or a recording that runs it on one and notes what it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.int64]
Arrays = Iterable[npt.NDArray[Any]]


class Runner(Protocol):
    """`engine.ops.cpu.pool.Pool` is one."""

    @property
    def threads(self) -> int:
        """That share one job."""

    def run(
        self, function: int, words: Words, parts: int, *, reads: Arrays = (), makes: Arrays = (), keeps: Arrays = ()
    ) -> None:
        """Call the compiled function at an address for parts 0 .. parts - 1, shared among the threads.

        Args:
            words: its arguments.
            reads: results of earlier jobs that it reads; not what stays as it is, such as weights.
            makes: arrays that it fills.
            keeps: what else it reads, which stays as it is.
        """
