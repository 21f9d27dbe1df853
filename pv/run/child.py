"""Running jobs: one session for all of a target's jobs, and fresh sessions for what a broken one left undone.

    all jobs -> one session -> sealed: judge each
                            -> broken in one job's test or file: that job is judged, the others go on in a fresh one
                            -> broken before any test: one session for each folder (a conftest may be to blame)
                            -> broken after the tests: halves, until the job to blame is alone

A session is one child process; with several `workers` it is one that pytest-xdist shares out, a file always whole.
If such a session breaks and no single test is to blame, the jobs of the worker that broke (all jobs, if none did) go
on in sessions of one child, where blame is exact: xdist saves time, and decides nothing.

A job that was refuted or went wrong in a session is never run again; only one that would have passed, had the session
been sealed, is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pv.process.device import needs_device
from pv.process.nodeid import file_argument
from pv.process.nursery import Nursery
from pv.run.facts import Ending
from pv.run.launch import Ended, Setup, file_of, run_session
from pv.run.outcomes import Verdict, judge, judge_node
from pv.schema.run import Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import Result

_DETAIL_CHARACTERS = 4000
Numbered = list[tuple[int, Job]]
"""Jobs with their places in the list that the caller gave."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Progress: `started` (its first test began), `ran` (its last test ended), `judged`."""

    kind: str
    job: Job
    outcome: Outcome | None = None
    passed_with: tuple[str, ...] | None = None
    """On `ran`, if every test has passed as far as its own records say: see `Outcome.modules`."""


@dataclass(slots=True)
class FaultTrace:
    """What became of the seeded fault, over all children."""

    entered: bool = False
    applied: bool = False
    broken: str = ""


def run_jobs(
    root: Path, settings: Settings, jobs: Sequence[Job], *, fault: str | None = None, relative: float | None = None,
    forced_failure: bool = False, on_event: Callable[[RunEvent], None] | None = None,
    stop: threading.Event | None = None, trace: FaultTrace | None = None, workers: int = 1,
    nursery: Nursery | None = None,
) -> list[Outcome]:  # fmt: skip
    """Run every job and judge it; one outcome for each job, in order.

    Args:
        fault: `module:function`, entered before any test is imported.
        relative: size of a graded fault; its own default without it.
        forced_failure: every test's call raises AssertionError instead of running; a wiring that reports anything but
            FAIL cannot be believed when it reports PASS.
        stop: when set, the child is killed and `Stopped` is raised.
        trace: receives what became of `fault`.
        workers: processes that run test files at a time. Limits are wall time, so more of them than cores only makes
            tests slower. On a device there is always one.
        nursery: where sessions of one child come from; for jobs that need no device, made with `environment_of` them.
    Raises:
        UsageError: a node id is malformed, or its file is missing or outside `root`; nothing was run.
        RunError: a child cannot be started.
    """
    root = root.resolve()
    for job in jobs:
        for nodeid in job.nodeids:
            file_argument(root, nodeid)
    tell = on_event or _nobody
    setup = Setup(
        root, settings, fault, relative, forced_failure, stop, nursery,
        on_progress=lambda kind, job, passed_with: tell(RunEvent(kind, job, passed_with=passed_with)),
    )  # fmt: skip
    outcomes: dict[int, Outcome] = {}
    for target in dict.fromkeys(job.target for job in jobs):
        waiting = [([(index, job) for index, job in enumerate(jobs) if job.target == target], workers)]
        while waiting:
            group, at_most = waiting.pop(0)
            if not group:
                continue
            settled, left = _run_group(setup, group, at_most, trace or FaultTrace())
            waiting[:0] = left
            for index, outcome in settled.items():
                outcomes[index] = outcome
                tell(RunEvent("judged", outcome.job, outcome))
    return [outcomes[index] for index in range(len(jobs))]


def _nobody(event: RunEvent) -> None:
    """Of those who listen."""


def _run_group(
    setup: Setup, group: Numbered, workers: int, trace: FaultTrace
) -> tuple[dict[int, Outcome], list[tuple[Numbered, int]]]:
    """Run one session and judge what it settled; returns that, and the groups that fresh ones have to run, and how."""
    jobs = [job for _, job in group]
    # One process on a device at a time; and a file is never divided.
    most = 1 if needs_device(jobs[0].target) else min(workers, len({file_of(job) for job in jobs}))
    session = run_session(setup, jobs, most)
    picture = session.picture
    _trace_fault(session, trace)
    folders = _by_folder(group)
    stopped_early = not session.culprits and not picture.has_plan
    is_hopeless = bool(trace.broken) or (stopped_early and session.ending is Ending.TIMED_OUT)
    if not session.is_shared:
        is_hopeless = is_hopeless or len(group) == 1 or (stopped_early and len(folders) == 1)
    settled: dict[int, Outcome] = {}
    undone: Numbered = []
    for index, job in group:
        facts = session.facts(job)
        if not (session.ending is Ending.SEALED or is_hopeless or job in session.culprits):
            if session.is_forged or not picture.went_wrong(job):
                undone.append((index, job))
                continue
            facts = picture.facts(job, Ending.SEALED, "")
        settled[index] = _outcome(session, job, judge(facts))
    if session.suspects:
        alone = [item for item in undone if item[1] in session.suspects]
        left = [(alone, 1), ([item for item in undone if item[1] not in session.suspects], workers)]
    elif session.culprits:
        left = [(undone, workers)]
    elif session.is_shared:
        left = [(undone, 1)]
    elif not picture.has_plan:
        left = [(part, workers) for part in _by_folder(undone)]
    else:
        middle = len(undone) // 2
        left = [(undone[:middle], workers), (undone[middle:], workers)]
    return settled, left


def _trace_fault(session: Ended, trace: FaultTrace) -> None:
    states = session.picture.fault_states
    trace.entered = trace.entered or "entered" in states
    trace.applied = trace.applied or "applied" in states
    if "broken" in states:
        trace.broken = session.picture.fault_message


def _by_folder(group: Numbered) -> list[Numbered]:
    folders: dict[str, Numbered] = {}
    for index, job in group:
        folders.setdefault(file_of(job).rpartition("/")[0], []).append((index, job))
    return list(folders.values())


def _outcome(session: Ended, job: Job, verdict: Verdict) -> Outcome:
    nodes = [session.picture.nodes[nodeid] for nodeid in job.nodeids]
    is_dead = verdict.result in (Result.CRASH, Result.TIMEOUT, Result.ERROR) and not verdict.detail
    return Outcome(
        job=job,
        result=verdict.result,
        reason=verdict.reason,
        duration_s=session.used_s(job),
        values=tuple(value for node in nodes for value in node.values),
        device=next((node.device for node in nodes if node.device), {}),
        ran_target=next((node.ran_target for node in nodes if node.ran_target), None),
        used_model=any(node.used_model for node in nodes),
        attachments=tuple(attachment for node in nodes for attachment in node.attachments),
        tests_begun=sum(node.begun > 0 for node in nodes),
        tests_passed=sum(judge_node(node).result is Result.PASS for node in nodes),
        detail=session.exit_of(job).output[-_DETAIL_CHARACTERS:] if is_dead else verdict.detail,
        versions=session.picture.versions,
        shadowed=session.picture.shadowed,
        modules=session.picture.modules_of(job),
    )
