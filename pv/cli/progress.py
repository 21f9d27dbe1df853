"""Progress on stderr: one live line on a terminal, a quiet line now and then in a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_STEPS_PER_LINE = 20


class Progress(Protocol):
    def expect(self, total: int, what: str) -> None:
        """How many steps there will be, and a line that says of what."""

    def step(self, label: str) -> None: ...


@contextmanager
def progress() -> Iterator[Progress]:
    if sys.stderr.isatty() and not os.environ.get("CI"):
        yield from _live()
    else:
        yield _Quiet()


class _Quiet:
    def __init__(self) -> None:
        self._done = self._total = 0

    def expect(self, total: int, what: str) -> None:
        self._total = total
        print(f"pv: {what}", file=sys.stderr, flush=True)

    def step(self, label: str) -> None:  # noqa: ARG002 - a log needs no label
        self._done += 1
        if self._done % _STEPS_PER_LINE == 0 or self._done == self._total:
            print(f"pv: {self._done} of {self._total} done", file=sys.stderr, flush=True)


def _live() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("collecting", total=None)

        class Live:
            def expect(self, total: int, what: str) -> None:  # noqa: ARG002 - the bar says it
                bar.update(task, total=total, description="running")

            def step(self, label: str) -> None:
                bar.update(task, advance=1, description=label)

        yield Live()
