"""Time where the work is done: a mark is taken on the way, and read when it has been passed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

Clock = Callable[[], float]


class Timer(Protocol):
    """`engine.ops.cuda.timer.EventTimer` is the other one."""

    @property
    def clock(self) -> str:
        """What it counts: 'wall', 'processor' or 'device' time."""

    def mark(self) -> Any:
        """A mark behind all work that was asked for until now."""

    def seconds(self, start: Any, end: Any) -> float:
        """Time between two marks; waits for the later one."""


class HostTimer:
    """For work that is done when its call returns."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock

    @property
    def clock(self) -> str:
        return "processor" if self._clock is time.process_time else "wall"

    def mark(self) -> float:
        return self._clock()

    def seconds(self, start: float, end: float) -> float:
        return end - start
