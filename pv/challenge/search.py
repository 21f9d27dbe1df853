"""Who catches a fault that nobody is known to catch: falsifiers together in one process, the quick ones first.

1 s of falsifiers, then 4 s, 16 s, ... as long as they take without a fault; a process for each group
one fails       it is challenged once more, by itself, and only that run can be a catch: whoever fails beside others
                may fail because of them
none fails      each of them has SURVIVED, or NOT_APPLIED where the fault's code did not run in that process; the
                next group
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pv.challenge.batch import challenge_jobs
from pv.challenge.outcomes import interpret
from pv.run.child import FaultTrace, run_jobs
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome, Result

Found = list[tuple[Job, ChallengeRun]]

_FIRST_GROUP_S = 1.0
_GROWTH = 4.0


@dataclass(frozen=True, slots=True)
class Search:
    root: Path
    settings: Settings
    workers: int
    everything: bool = False
    """Go on after the first catch, so that every falsifier is asked."""
    on_fault: Callable[[str], None] = field(default=lambda _fault: None)
    """Told when the search for a fault is over."""
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Scan:
    """One fault up to the first group in which somebody failed."""

    passed: Found
    failing: list[Job]
    left: list[list[Job]]


def search(how: Search, wanted: Mapping[str, Sequence[Outcome]]) -> Found:
    """What the falsifiers that were asked did about each fault.

    Args:
        wanted: for each fault the falsifiers that could meet it, as they passed without it.
    Raises:
        UsageError, RunError: as `run_jobs`.
    """
    found: Found = []
    left = {fault: list(_groups(passed)) for fault, passed in wanted.items() if passed}
    while left:
        scans = _scan_all(how, left)
        suspects: dict[Job, list[str]] = defaultdict(list)
        for fault, scan in scans.items():
            for job in scan.failing:
                suspects[job].append(fault)
        confirmed = challenge_jobs(how.root, how.settings, list(suspects.items()), workers=how.workers)
        for fault, scan in scans.items():
            alone = [(job, run) for job, runs in confirmed for run in runs if run.fault == fault]
            found += [*scan.passed, *alone]
            is_caught = any(run.outcome is ChallengeOutcome.CAUGHT for _, run in alone)
            left[fault] = [] if is_caught and not how.everything else scan.left
            if not left[fault]:
                how.on_fault(fault)
        left = {fault: groups for fault, groups in left.items() if groups}
    return found


def _groups(passed: Sequence[Outcome]) -> Iterator[list[Job]]:
    """Of one target each, and each longer than the one before."""
    room, used = _FIRST_GROUP_S, 0.0
    group: list[Job] = []
    for outcome in sorted(passed, key=lambda outcome: (outcome.job.target, outcome.duration_s)):
        if group and (used + outcome.duration_s > room or outcome.job.target != group[0].target):
            yield group
            room, used, group = room * _GROWTH, 0.0, []
        group.append(outcome.job)
        used += outcome.duration_s
    if group:
        yield group


def _scan_all(how: Search, left: Mapping[str, list[list[Job]]]) -> dict[str, _Scan]:
    with ThreadPoolExecutor(max_workers=how.workers, thread_name_prefix="search") as pool:
        try:
            return dict(zip(left, pool.map(lambda fault: _scan(how, fault, left[fault]), left), strict=True))
        except BaseException:
            how.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _scan(how: Search, fault: str, groups: list[list[Job]]) -> _Scan:
    passed: Found = []
    for number, group in enumerate(groups, start=1):
        trace = FaultTrace()
        outcomes = run_jobs(how.root, how.settings, group, fault=fault, stop=how.stop, trace=trace)
        failing = [outcome.job for outcome in outcomes if outcome.result is Result.FAIL]
        for outcome in outcomes:
            if outcome.result is not Result.FAIL:
                passed.append((outcome.job, ChallengeRun(fault, *interpret(outcome, trace), outcome.duration_s)))
        if failing:
            # The others wait: the first one may be a catch, and then nobody asks them.
            later = [] if how.everything else [failing[1:]]
            now = failing if how.everything else failing[:1]
            return _Scan(passed, now, [group for group in [*later, *groups[number:]] if group])
    return _Scan(passed, [], [])
