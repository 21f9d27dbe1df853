"""Who runs a job: a pool of threads, or a recording that runs it on one and notes what it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.int64]
Arrays = Iterable[npt.NDArray[Any]]

_PARTS_PER_THREAD = 4
# Elements of a part of a job on tokens: some 10 us of work.
_PART_ELEMENTS = 1 << 14


class Runner(Protocol):
    """`engine.ops.cpu.pool.Pool` is one."""

    @property
    def threads(self) -> int:
        """That share one job."""

    def run(
        self, function: int, words: Words, parts: int, *, reads: Arrays = (), makes: Arrays = (), keeps: Arrays = ()
    ) -> None:
        """Call the kernel at an address with its words and each of the parts 0 .. parts - 1, shared among the threads.

        Args:
            words: its arguments.
            reads: results of earlier jobs that it reads; not what stays as it is, such as weights.
            makes: arrays that it fills.
            keeps: what else it reads, which stays as it is.
        """


def addresses(*arrays: npt.NDArray[Any]) -> list[int]:
    """Where arrays start, as words."""
    return [array.ctypes.data for array in arrays]


def parts_of_tokens(runner: Runner, tokens: int, elements: int) -> int:
    """Parts of a job on so many elements of each token: no more than there are tokens."""
    return max(1, min(tokens * elements // _PART_ELEMENTS, tokens, runner.threads * _PARTS_PER_THREAD))
