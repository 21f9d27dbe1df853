"""Challenging falsifiers: the wiring once for all of them, then each fault in a process of its own.

These processes are forked from one that has imported installed libraries, see `pv.process.nursery`; on a device each
is started anew.
The forced failure proves that a failing assertion in this very test reaches the parent as FAIL; where it does not,
no fault is tried. Children run side by side, `workers` at a time; Ctrl-C kills them all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType

from pv.challenge.nurseries import nurseries
from pv.challenge.outcomes import interpret, wiring_problem
from pv.challenge.sensitivity import search
from pv.process.nursery import Nursery
from pv.run.child import FaultTrace, run_jobs
from pv.schema.run import ChallengeRun, Job
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome


def challenge(
    root: Path, settings: Settings, job: Job, faults: Sequence[str], *, workers: int | None = None
) -> list[ChallengeRun]:
    """One falsifier; one run for each fault, in order."""
    return challenge_jobs(root, settings, [(job, faults)], workers=workers)[0][1]


def challenge_jobs(
    root: Path, settings: Settings, batch: Sequence[tuple[Job, Sequence[str]]], *, workers: int | None = None,
    on_challenge: Callable[[Job, ChallengeRun], None] | None = None, graded: Collection[tuple[str, str]] = (),
    modules: Mapping[Job, Sequence[str]] = MappingProxyType({}),
) -> list[tuple[Job, list[ChallengeRun]]]:  # fmt: skip
    """Many falsifiers with their faults; for each, one run for each fault, in order.

    Args:
        workers: children at a time; `settings.workers` without it.
        on_challenge: called in the caller's thread as runs end.
        graded: falsifier and fault, where the smallest size that is caught shall be found as well.
        modules: what each job passed with, see `Outcome.modules`; imported once for all children that may have it.
    Raises:
        UsageError, RunError: as `run_jobs`.
    """
    challenged = [(job, faults) for job, faults in batch if faults]
    at_a_time = workers or settings.workers
    stop = threading.Event()
    with (
        nurseries(root, [job for job, _ in challenged], modules) as nursery_of,
        ThreadPoolExecutor(max_workers=at_a_time, thread_name_prefix="challenge") as pool,
    ):
        # One process: no test runs, and importing the test files is what every worker would do.
        forced = run_jobs(root, settings, [job for job, _ in challenged], forced_failure=True)
        problems = {outcome.job: wiring_problem(outcome) for outcome in forced}
        futures: dict[Future[ChallengeRun], tuple[int, int]] = {}
        try:
            # The patient ones first, so that no long run starts last.
            for row, (job, faults) in sorted(enumerate(batch), key=lambda item: -item[1][0].timeout_s):
                for column, fault in enumerate(faults):
                    is_graded = (job.falsifier, fault) in graded
                    nursery = nursery_of.get(job)
                    future = pool.submit(_run_one, root, settings, job, fault, problems[job], stop, is_graded, nursery)
                    futures[future] = (row, column)
            found: dict[tuple[int, int], ChallengeRun] = {}
            for future in as_completed(futures):
                place = futures[future]
                found[place] = future.result()
                if on_challenge is not None:
                    on_challenge(batch[place[0]][0], found[place])
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [(job, [found[row, column] for column in range(len(faults))]) for row, (job, faults) in enumerate(batch)]


def _run_one(
    root: Path, settings: Settings, job: Job, fault: str, problem: str, stop: threading.Event, is_graded: bool,
    nursery: Nursery | None,
) -> ChallengeRun:  # fmt: skip
    if problem:
        return ChallengeRun(fault, ChallengeOutcome.BROKEN, problem, 0.0)
    started = time.monotonic()

    def seeded(relative: float | None = None) -> tuple[ChallengeOutcome, str]:
        trace = FaultTrace()
        [outcome] = run_jobs(
            root, settings, [job], fault=fault, relative=relative, stop=stop, trace=trace, nursery=nursery
        )
        return interpret(outcome, trace)

    kind, reason = seeded()
    # A fault that cannot be entered, or never runs, is so at every size.
    is_seen = kind in (ChallengeOutcome.CAUGHT, ChallengeOutcome.SURVIVED)
    sensitivity = search(lambda size: seeded(size)[0]) if is_graded and is_seen else None
    return ChallengeRun(fault, kind, reason, time.monotonic() - started, sensitivity)
