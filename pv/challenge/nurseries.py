"""Which libraries the processes of challenges may find imported: nothing that their falsifier did not pass with.

A session imports more and more, so two sets serve nearly all: what every job had, and what most of them had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pv.process.device import needs_device
from pv.process.nursery import Nursery
from pv.run.launch import environment_of
from pv.schema.run import Job

_MOST = 2 / 3


@contextmanager
def nurseries(
    root: Path, jobs: Sequence[Job], modules: Mapping[Job, Sequence[str]]
) -> Iterator[Mapping[Job, Nursery]]:  # fmt: skip
    """Where the challenges of each job are forked; those that need a device have none.

    Args:
        modules: what a job passed with, see `Outcome.modules`.
    """
    found: dict[Job, Nursery] = {}
    with ExitStack() as stack:
        for target in dict.fromkeys(job.target for job in jobs if not needs_device(job.target)):
            group = sorted((job for job in jobs if job.target == target), key=lambda job: -len(modules.get(job, ())))
            sets = [modules.get(job, ()) for job in group]
            many, few = _common(sets[: max(1, int(_MOST * len(sets)))]), _common(sets)
            of_all = stack.enter_context(Nursery(root, few, environment_of(target)))
            of_most = stack.enter_context(Nursery(root, many, environment_of(target))) if many != few else of_all
            for job, names in zip(group, sets, strict=True):
                found[job] = of_most if set(many) <= set(names) else of_all
        yield found


def _common(sets: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What is in each of them, in the order of the first."""
    others = [set(names) for names in sets[1:]]
    return tuple(name for name in sets[0] if all(name in names for names in others))
