"""Which libraries the processes of challenges may find imported: nothing that their falsifier did not pass with.

A session imports more and more, so what its first test had serves all, and what a later one had serves most.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pv.process.device import needs_device
from pv.process.nursery import Nursery
from pv.run.launch import environment_of
from pv.schema.run import Job

_MOST = 3
"""Nurseries for a target; each takes a second to start, and 100 MB with numba."""
_WORTH = 32
"""Modules that a nursery has to spare its children beyond what the others do."""


class Nurseries:
    """Started as they are needed; leaving the context ends them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._started: dict[str, list[tuple[frozenset[str], Nursery]]] = {}
        self._resources = ExitStack()

    def __enter__(self) -> Nurseries:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._resources.close()

    def of(self, job: Job, modules: Sequence[str]) -> Nursery | None:
        """Where the challenges of a job are forked; None for one that needs a device.

        Args:
            modules: what the job passed with, see `Outcome.modules`.
        """
        if needs_device(job.target):
            return None
        started = self._started.setdefault(job.target, [])
        fitting = [item for item in started if item[0] <= set(modules)]
        best = max(fitting, key=lambda item: len(item[0]), default=None)
        if len(started) < _MOST and (best is None or len(set(modules)) - len(best[0]) >= _WORTH):
            nursery = self._resources.enter_context(Nursery(self._root, modules, environment_of(job.target)))
            best = frozenset(modules), nursery
            started.append(best)
        return best[1] if best else None
