"""Dividing a target's jobs over child processes that run side by side.

A test file stays whole, so that what its tests share they still share, in the order they have. The shares are made
from the limits of the jobs, the file with the largest one first, each to the share with the least so far.
"""

from __future__ import annotations

from collections.abc import Sequence

from pv.process.nodeid import split
from pv.schema.run import Job

Numbered = list[tuple[int, Job]]
"""Jobs with their places in the list that the caller gave."""


def shares(numbered: Sequence[tuple[int, Job]], workers: int) -> list[Numbered]:
    """At most `workers` shares, none empty, each in the caller's order."""
    files: dict[str, Numbered] = {}
    for index, job in numbered:
        files.setdefault(split(job.nodeids[0])[0] if job.nodeids else "", []).append((index, job))
    found: list[Numbered] = [[] for _ in range(max(1, min(workers, len(files))))]
    for file in sorted(files.values(), key=_limit_s, reverse=True):
        min(found, key=_limit_s).extend(file)
    return [sorted(share, key=lambda item: item[0]) for share in found if share]


def _limit_s(share: Numbered) -> float:
    return sum(job.timeout_s for _, job in share)
