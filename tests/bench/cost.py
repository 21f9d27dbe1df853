"""What one command costs: wall and processor time of it and of all that it starts, and the largest of their peaks."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float
    """User and system, of every process."""
    peak_mb: float
    """Of the process itself or one that it waited for, whichever is larger."""


def environment() -> dict[str, str]:
    """As where pv is installed: compiled files are kept, so that a second run does not compile."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cost(arguments: list[str], cwd: Path, codes: tuple[int, ...] = (0,)) -> Cost:
    """Run a program and all that it starts, its output dropped.

    Args:
        arguments: the program's path first.
        codes: what it may end with.
    Raises:
        SystemExit: it ended with something else.
    """
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(cwd)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.execve(arguments[0], arguments, environment())
    _, status, used = os.wait4(child, 0)
    wall_s = time.perf_counter() - began
    if (code := os.waitstatus_to_exitcode(status)) not in codes:
        raise SystemExit(f"{' '.join(arguments)} ended with {code}; expected {' or '.join(map(str, codes))}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def python(*arguments: str) -> list[str]:
    """This Python with arguments."""
    return [sys.executable, *arguments]


def least(runs: int, arguments: list[str], cwd: Path, codes: tuple[int, ...] = (0,)) -> Cost:
    """The least of each figure over several runs: what else the machine does only adds."""
    costs = [cost(arguments, cwd, codes) for _ in range(runs)]
    return Cost(
        min(item.wall_s for item in costs), min(item.cpu_s for item in costs), min(item.peak_mb for item in costs)
    )


def heading(first: str) -> None:
    load = os.getloadavg()[0]
    print(
        f"{first:<48}{'wall':>9}{'goal':>9}{'CPU':>9}{'CPU each':>11}{'peak':>9}{'goal':>9}   load {load:.1f}",
        flush=True,
    )


def line(
    name: str, spent: Cost, *, count: int, wall_goal_s: float | None = None, peak_goal_mb: int | None = None
) -> None:
    """One row; without a goal its place stays empty. CPU each stays level where nothing is quadratic."""
    goal = f"{wall_goal_s:>7.3f} s" if wall_goal_s is not None else " " * 9
    peak_goal = f"{peak_goal_mb:>6} MB" if peak_goal_mb is not None else " " * 9
    missed = (wall_goal_s is not None and spent.wall_s > wall_goal_s) or (
        peak_goal_mb is not None and spent.peak_mb > peak_goal_mb
    )
    print(
        f"{name:<48}{spent.wall_s:>7.3f} s{goal}{spent.cpu_s:>7.3f} s{1e3 * spent.cpu_s / count:>8.2f} ms"
        f"{spent.peak_mb:>6.0f} MB{peak_goal}{'   missed' if missed else ''}".rstrip(),
        flush=True,
    )
