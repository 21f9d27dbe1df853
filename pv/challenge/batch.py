"""Challenging falsifiers: the wiring once for all of them, then each fault in a process of its own.

The forced failure proves that a failing assertion in this very test reaches the parent as FAIL; where it does not,
no fault is tried. Children run side by side, `workers` at a time; Ctrl-C kills them all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pv.challenge.outcomes import interpret, wiring_problem
from pv.run.child import FaultTrace, run_jobs
from pv.schema.run import ChallengeRun, Job
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome


@dataclass(frozen=True, slots=True)
class Challenged:
    """A falsifier on one target, and the faults it has to catch."""

    job: Job
    faults: tuple[str, ...]


def challenge(
    root: Path, settings: Settings, job: Job, faults: Sequence[str], *, workers: int | None = None
) -> list[ChallengeRun]:
    """One falsifier; one run for each fault, in order."""
    return challenge_all(root, settings, [Challenged(job, tuple(faults))], workers=workers)[0]


def challenge_all(
    root: Path, settings: Settings, challenged: Sequence[Challenged], *, workers: int | None = None,
    on_run: Callable[[Job, ChallengeRun], None] | None = None,
) -> list[list[ChallengeRun]]:  # fmt: skip
    """Many falsifiers; for each, one run for each of its faults, in order.

    Args:
        workers: children at a time; `settings.workers` without it.
        on_run: called from worker threads as runs end.
    Raises:
        UsageError, RunError: as `run_jobs`.
    """
    wired = [item for item in challenged if item.faults]
    forced = run_jobs(root, settings, [item.job for item in wired], forced_failure=True)
    problems = {id(item): wiring_problem(outcome) for item, outcome in zip(wired, forced, strict=True)}
    stop = threading.Event()

    def run(job: Job, fault: str, problem: str) -> ChallengeRun:
        if problem:
            result = ChallengeRun(fault, ChallengeOutcome.BROKEN, problem, 0.0)
        else:
            result = _run_one(root, settings, job, fault, stop)
        if on_run is not None:
            on_run(job, result)
        return result

    with ThreadPoolExecutor(max_workers=workers or settings.workers, thread_name_prefix="challenge") as pool:
        futures: list[list[Future[ChallengeRun]]] = [
            [pool.submit(run, item.job, fault, problems[id(item)]) for fault in item.faults] for item in challenged
        ]
        try:
            return [[future.result() for future in row] for row in futures]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_one(root: Path, settings: Settings, job: Job, fault: str, stop: threading.Event) -> ChallengeRun:
    started = time.monotonic()
    trace = FaultTrace()
    outcome = run_jobs(root, settings, [job], fault=fault, stop=stop, trace=trace)[0]
    kind, reason = interpret(outcome, trace)
    return ChallengeRun(fault, kind, reason, time.monotonic() - started)
