"""The one place that starts kernels: counts them, and lets the compile gate look at a launch instead of running it.

A launch names every argument. What a kernel is specialised on (types, alignment, divisibility) follows from those
arguments in one way, on the device as in the compile gate, so the gate compiles what the device would run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.ops.cuda import configs

Grid = tuple[int, int, int]

_DEPENDENT = "DEPENDENT"
"""The flag of kernels that can begin before the one before them has ended."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel start."""

    kernel: Any
    """What `triton.jit` made."""
    grid: Grid
    warps: int
    stages: int
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    @property
    def options(self) -> dict[str, Any]:
        """What the compiler is told besides the arguments."""
        found: dict[str, Any] = {"num_warps": self.warps, "num_stages": self.stages}
        # the kernel waits for the one before by itself, see `dependent`
        return found | ({"launch_pdl": True} if self.arguments.get(_DEPENDENT) else {})


Runner = Callable[[Launch], None]


def run(launched: Launch) -> None:
    """Start it, uncounted: for what `intercepted` is given."""
    launched.kernel[launched.grid](**launched.arguments, **launched.options)


_runner: Runner = run
_counts: Counter[str] = Counter()


def launch(kernel: Any, grid: Grid, *, warps: int, stages: int = 1, **arguments: Any) -> None:
    """Start a kernel; a grid with nothing in it starts none."""
    if 0 in grid:
        return
    if _DEPENDENT in kernel.arg_names:
        arguments[_DEPENDENT] = configs.dependent_launch()
    launched = Launch(kernel, grid, warps, stages, arguments)
    _runner(launched)
    _counts[launched.name] += 1


def counts() -> dict[str, int]:
    """Launches of this process by kernel name, replays of captured graphs included."""
    return dict(sorted(_counts.items()))


def add_counts(launches: Mapping[str, int], times: int = 1) -> None:
    """Count what ran without passing through `launch`: the replays of a graph."""
    for name, number in launches.items():
        _counts[name] += number * times


def since(before: Mapping[str, int]) -> dict[str, int]:
    """Launches by kernel name after `before`, an earlier result of `counts`."""
    return {name: number - before.get(name, 0) for name, number in counts().items() if number > before.get(name, 0)}


@contextmanager
def intercepted(runner: Runner) -> Iterator[None]:
    """Give launches to `runner`; nothing runs. What was launched is counted as little as it ran."""
    global _runner
    before, _runner = _runner, runner
    kept = _counts.copy()
    try:
        yield
    finally:
        _runner = before
        _counts.clear()
        _counts.update(kept)
