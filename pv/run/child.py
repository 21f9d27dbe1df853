"""Running jobs: one child for all of a target's jobs, and fresh children for what a broken one left undone.

    all jobs -> one child -> sealed: judge each
                          -> broken in one job's test or file: that job is judged, the others go on in a fresh child
                          -> broken before any test: one child for each folder (a conftest may be to blame)
                          -> broken after the tests: halves, until the job to blame is alone

Several children run side by side if `workers` says so; each is what a single child would be, over fewer test files.

A job that was refuted or went wrong in a session is never run again; only one that would have passed, had the session
been sealed, is.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from pv.process.device import leased
from pv.process.nodeid import file_argument, split
from pv.process.pytest_options import arguments
from pv.process.supervise import Exit, supervise
from pv.run.facts import Ending
from pv.run.outcomes import Verdict, judge, judge_node
from pv.run.session import Session
from pv.run.shares import Numbered, shares
from pv.schema.run import Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import Result

_DETAIL_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Progress: `started` (its first test began), `ran` (its last test ended), `judged`."""

    kind: str
    job: Job
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What all children of one call share."""

    root: Path
    settings: Settings
    fault: str | None
    relative: float | None
    forced_failure: bool
    on_event: Callable[[RunEvent], None] | None
    stop: threading.Event
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, kind: str, job: Job, outcome: Outcome | None = None) -> None:
        if self.on_event is not None:
            with self._lock:
                self.on_event(RunEvent(kind, job, outcome))


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
) -> list[Outcome]:  # fmt: skip
    """Run every job and judge it; one outcome for each job, in order.

    Args:
        fault: `module:function`, entered before any test is imported.
        relative: size of a graded fault; its own default without it.
        forced_failure: every test's call raises AssertionError instead of running; a wiring that reports anything but
            FAIL cannot be believed when it reports PASS.
        stop: when set, the child is killed and `Stopped` is raised.
        trace: receives what became of `fault`.
        workers: children at a time. Limits are wall time, so more of them than cores only makes tests slower.
        on_event: called by one thread at a time, not always the caller's.
    Raises:
        UsageError: a node id is malformed, or its file is missing or outside `root`; nothing was run.
        RunError: a child cannot be started.
    """
    root = root.resolve()
    for job in jobs:
        for nodeid in job.nodeids:
            file_argument(root, nodeid)
    setup = Setup(root, settings, fault, relative, forced_failure, on_event, stop or threading.Event())
    outcomes: dict[int, Outcome] = {}
    for target in dict.fromkeys(job.target for job in jobs):
        numbered = [(index, job) for index, job in enumerate(jobs) if job.target == target]
        _run_shares(setup, shares(numbered, workers), outcomes, trace or FaultTrace())
    return [outcomes[index] for index in range(len(jobs))]


def _run_shares(setup: Setup, divided: Sequence[Numbered], outcomes: dict[int, Outcome], trace: FaultTrace) -> None:
    if len(divided) == 1:
        _run(setup, divided[0], outcomes, trace)
        return
    with ThreadPoolExecutor(max_workers=len(divided), thread_name_prefix="run") as pool:
        futures = [pool.submit(_run, setup, share, outcomes, trace) for share in divided]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            # Ctrl-C, or a child that cannot be started: the other children have nobody to report to.
            setup.stop.set()
            raise


def _run(setup: Setup, numbered: Numbered, outcomes: dict[int, Outcome], trace: FaultTrace) -> None:
    waiting = [numbered]
    while waiting:
        group = waiting.pop(0)
        if group:
            waiting[:0] = _run_group(setup, group, outcomes, trace)


def _run_group(setup: Setup, group: Numbered, outcomes: dict[int, Outcome], trace: FaultTrace) -> list[Numbered]:
    """Run one child and judge what it settled; returns the groups that fresh children have to run."""
    session, end = _child(setup, [job for _, job in group])
    _trace_fault(session, trace)
    ending = session.ending(end)
    culprits = session.culprits()
    folders = _by_folder(group)
    is_hopeless = (
        len(group) == 1
        or bool(trace.broken)
        or (not culprits and not session.has_plan and (ending is Ending.TIMED_OUT or len(folders) == 1))
    )
    undone: Numbered = []
    for index, job in group:
        if ending is Ending.SEALED or is_hopeless or job in culprits:
            facts = session.facts(job, ending, session.note(ending, end, job))
        elif ending is not Ending.FORGED and session.went_wrong(job):
            facts = session.facts(job, Ending.SEALED, "")
        else:
            undone.append((index, job))
            continue
        outcomes[index] = _outcome(session, job, judge(facts), end)
        setup.announce("judged", job, outcomes[index])
    if culprits:
        return [undone]
    if not session.has_plan:
        return _by_folder(undone)
    middle = len(undone) // 2
    return [undone[:middle], undone[middle:]]


def _trace_fault(session: Session, trace: FaultTrace) -> None:
    trace.entered = trace.entered or "entered" in session.fault_states
    trace.applied = trace.applied or "applied" in session.fault_states
    if "broken" in session.fault_states:
        trace.broken = session.fault_message


def _by_folder(group: Numbered) -> list[Numbered]:
    folders: dict[str, Numbered] = {}
    for index, job in group:
        folder = split(job.nodeids[0])[0].rpartition("/")[0] if job.nodeids else ""
        folders.setdefault(folder, []).append((index, job))
    return list(folders.values())


def _outcome(session: Session, job: Job, verdict: Verdict, end: Exit) -> Outcome:
    nodes = [session.nodes[nodeid] for nodeid in job.nodeids]
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
        detail=end.output[-_DETAIL_CHARACTERS:] if is_dead else verdict.detail,
        versions=session.versions,
    )


def _child(setup: Setup, jobs: Sequence[Job]) -> tuple[Session, Exit]:
    nonce = secrets.token_hex(16)
    model = setup.root / setup.settings.model if setup.settings.model else None
    nodeids = list(dict.fromkeys(nodeid for job in jobs for nodeid in job.nodeids))
    files = dict.fromkeys(file_argument(setup.root, nodeid) for nodeid in nodeids)
    target = jobs[0].target
    spec = {
        "plugin": "pv.run.supervised",
        "args": arguments(setup.root, setup.settings, files, is_run=True),
        "nonce": nonce,
        "nodeids": nodeids,
        "target": target,
        "model": None if model is None else str(model),
        "fault": setup.fault,
        "relative": setup.relative,
        "forced_failure": setup.forced_failure,
        "stop_at_failure": setup.fault is not None,
    }
    # Triton reads this when it is imported; only this target may have it.
    extra = {"TRITON_INTERPRET": "1"} if target == "cuda-interpreted" else {}
    with leased(target, stop=setup.stop) as device:
        # The time that a test has starts with its process, not with the wait for a device.
        session = Session(jobs, nonce, setup.announce)
        return session, supervise(setup.root, spec, session, stop=setup.stop, environment={**extra, **device})
