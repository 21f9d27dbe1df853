"""Challenging falsifiers: the wiring once for all of them, then each fault in a process of its own.

These processes are forked from one that has imported installed libraries, see `pv.process.nursery`; on a device each
is started anew.
The forced failure proves that a failing assertion in this very test reaches the parent as FAIL; where it does not,
no fault is tried. Children run side by side, `workers` at a time; Ctrl-C kills them all.

A falsifier may be challenged as soon as its own test has passed, while others are still tested. What comes out does
not depend on that: every fault has a process of its own, and a falsifier that does not pass in the end has no part
in it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType

from pv.challenge.nurseries import Nurseries
from pv.challenge.outcomes import interpret, wiring_problem
from pv.challenge.sensitivity import search
from pv.process.device import needs_device
from pv.process.nursery import Nursery
from pv.process.supervise import Stopped
from pv.run.child import FaultTrace, run_jobs
from pv.schema.run import ChallengeRun, Job
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome

Batch = Sequence[tuple[Job, Sequence[str]]]
_Place = tuple[int, int]
"""Of a falsifier in its batch, and of a fault among its faults."""


def challenge(
    root: Path, settings: Settings, job: Job, faults: Sequence[str], *, workers: int | None = None
) -> list[ChallengeRun]:
    """One falsifier; one run for each fault, in order."""
    return challenge_jobs(root, settings, [(job, faults)], workers=workers)[0][1]


def challenge_jobs(
    root: Path, settings: Settings, batch: Batch, *, workers: int | None = None,
    on_challenge: Callable[[Job, ChallengeRun], None] | None = None, graded: Collection[tuple[str, str]] = (),
    modules: Mapping[Job, Sequence[str]] = MappingProxyType({}),
) -> list[tuple[Job, list[ChallengeRun]]]:  # fmt: skip
    """Many falsifiers with their faults; for each, one run for each fault, in order.

    Args:
        workers, on_challenge, graded: as of `Challenges`.
        modules: what each job passed with, see `Outcome.modules`; imported once for all children that may have it.
    Raises:
        UsageError, RunError: as `run_jobs`.
    """
    with Challenges(root, settings, batch, workers=workers, on_challenge=on_challenge, graded=graded) as challenges:
        return challenges.of({job: modules.get(job, ()) for job, _ in batch})


class Challenges:
    """The challenges of a batch of falsifiers, each begun when it may be; leaving the context ends what still runs.

    Args:
        workers: children at a time; `settings.workers` without it.
        beside: how many of these places somebody else's tests take until `of` is called.
        on_challenge: called in the caller's thread with runs that have ended.
        graded: falsifier and fault, where the smallest size that is caught shall be found as well.
    """

    def __init__(
        self, root: Path, settings: Settings, batch: Batch, *, workers: int | None = None, beside: int = 0,
        on_challenge: Callable[[Job, ChallengeRun], None] | None = None, graded: Collection[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self._root = root
        self._settings = settings
        self._batch = batch
        self._rows = {job: row for row, (job, _) in enumerate(batch)}
        self._on_challenge = on_challenge or _nobody
        self._graded = graded
        self._stop = threading.Event()
        self._at_a_time = workers or settings.workers
        self._beside = min(beside, self._at_a_time)
        self._places = threading.Semaphore(self._at_a_time - self._beside)
        self._pool = ThreadPoolExecutor(max_workers=self._at_a_time, thread_name_prefix="challenge")
        self._nurseries = Nurseries(root)
        self._begun: set[Job] = set()
        self._waiting: queue.PriorityQueue[tuple[float, _Place, Nursery | None]] = queue.PriorityQueue()
        self._futures: set[Future[tuple[_Place, ChallengeRun]]] = set()
        self._found: dict[_Place, ChallengeRun] = {}
        self._problems: dict[Job, str] = {}
        """Of the wiring, for each job that was forced to fail; empty where there is none."""
        early = [job for job, faults in batch if faults and not needs_device(job.target)]
        self._wired = self._pool.submit(self._force, early)

    def __enter__(self) -> Challenges:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._free()
        self._pool.shutdown(cancel_futures=True)
        self._nurseries.__exit__()

    def begin(self, job: Job, modules: Sequence[str]) -> None:
        """The falsifier has passed, with these modules: seed its faults from now on. One on a device waits for `of`."""
        if not needs_device(job.target):
            self._begin(job, modules)

    def tell(self) -> None:
        """Hand on the runs that have ended."""
        for future in [future for future in self._futures if future.done()]:
            self._take(future)

    def of(self, passed: Mapping[Job, Sequence[str]]) -> list[tuple[Job, list[ChallengeRun]]]:
        """Falsifiers that passed, with what they passed with, in the order of the batch; one run for each fault.

        Raises:
            UsageError, RunError: as `run_jobs`.
        """
        self._free()
        on_device = [job for job, faults in self._batch if faults and job in passed and needs_device(job.target)]
        if on_device:
            self._force(on_device)
        # The patient ones first, so that no long run starts last.
        for job in sorted(passed, key=lambda job: -job.timeout_s):
            self._begin(job, passed[job])
        self._wired.result()
        for future in as_completed(list(self._futures)):
            self._take(future)
        return [
            (job, [self._found[row, column] for column in range(len(faults))])
            for row, (job, faults) in enumerate(self._batch)
            if job in passed
        ]

    def _free(self) -> None:
        if self._beside:
            self._places.release(self._beside)
        self._beside = 0

    def _force(self, jobs: Sequence[Job]) -> None:
        # One process: no test runs, and importing the test files is what every worker would do.
        with self._places:
            forced = run_jobs(self._root, self._settings, jobs, forced_failure=True, stop=self._stop)
        self._problems.update((outcome.job, wiring_problem(outcome)) for outcome in forced)

    def _begin(self, job: Job, modules: Sequence[str]) -> None:
        row = self._rows[job]
        faults = self._batch[row][1]
        if job in self._begun or not faults:
            return
        self._begun.add(job)
        nursery = self._nurseries.of(job, modules)
        for column in range(len(faults)):
            self._waiting.put((-job.timeout_s, (row, column), nursery))
            self._futures.add(self._pool.submit(self._next))

    def _next(self) -> tuple[_Place, ChallengeRun]:
        """The most patient that waits when there is a place for it."""
        self._wired.result()
        with self._places:
            if self._stop.is_set():
                raise Stopped
            _, place, nursery = self._waiting.get_nowait()
            return place, self._run_one(place, nursery)

    def _run_one(self, place: _Place, nursery: Nursery | None) -> ChallengeRun:
        job, faults = self._batch[place[0]]
        fault = faults[place[1]]
        if self._problems[job]:
            return ChallengeRun(fault, ChallengeOutcome.BROKEN, self._problems[job], 0.0)
        started = time.monotonic()

        def seeded(relative: float | None = None) -> tuple[ChallengeOutcome, str]:
            trace = FaultTrace()
            [outcome] = run_jobs(
                self._root, self._settings, [job], fault=fault, relative=relative, stop=self._stop, trace=trace,
                nursery=nursery,
            )  # fmt: skip
            return interpret(outcome, trace)

        kind, reason = seeded()
        # A fault that cannot be entered, or never runs, is so at every size.
        is_seen = kind in (ChallengeOutcome.CAUGHT, ChallengeOutcome.SURVIVED)
        is_graded = (job.falsifier, fault) in self._graded
        sensitivity = search(lambda size: seeded(size)[0]) if is_graded and is_seen else None
        return ChallengeRun(fault, kind, reason, time.monotonic() - started, sensitivity)

    def _take(self, future: Future[tuple[_Place, ChallengeRun]]) -> None:
        self._futures.discard(future)
        place, run = future.result()
        self._found[place] = run
        self._on_challenge(self._batch[place[0]][0], run)


def _nobody(job: Job, run: ChallengeRun) -> None:
    """Of those who listen."""
