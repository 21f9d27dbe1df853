"""One session: a single child, or a controller of pytest-xdist and its workers; and what became of it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pv.process.device import leased
from pv.process.nodeid import file_argument, split
from pv.process.nursery import Nursery
from pv.process.pytest_options import arguments
from pv.process.supervise import Exit, supervise
from pv.process.team import supervise_team
from pv.run.facts import Ending, JobFacts
from pv.run.picture import Picture
from pv.run.session import OnProgress, Session
from pv.run.team import Team, is_internal
from pv.schema.run import Job
from pv.schema.settings import Settings


@dataclass(frozen=True, slots=True)
class Setup:
    """What all sessions of one call share."""

    root: Path
    settings: Settings
    fault: str | None
    relative: float | None
    forced_failure: bool
    stop: threading.Event | None
    nursery: Nursery | None
    on_progress: OnProgress


@dataclass(frozen=True, slots=True)
class Ended:
    """One session after its end."""

    picture: Picture
    end: Exit
    culprits: Mapping[Job, tuple[Picture, Exit]]
    """Jobs in whose test or file a process stopped, with what is known about that process."""
    is_shared: bool = False
    """Several workers had a part in it."""
    suspects: frozenset[Job] = frozenset()
    """Jobs that only a session without pytest-xdist can judge."""
    is_forged: bool = False
    """A process sent what it cannot have sent, so nothing else of the session is believed."""

    @property
    def ending(self) -> Ending:
        return self.picture.ending(self.end)

    def exit_of(self, job: Job) -> Exit:
        return self.culprits.get(job, (self.picture, self.end))[1]

    def facts(self, job: Job) -> JobFacts:
        """With the ending that concerns `job`."""
        picture, end = self.culprits.get(job, (self.picture, self.end))
        ending = picture.ending(end)
        return self.picture.facts(job, ending, picture.note(ending, end, job))

    def used_s(self, job: Job) -> float:
        return self.culprits.get(job, (self.picture, self.end))[0].used_s(job)


def run_session(setup: Setup, jobs: Sequence[Job], workers: int) -> Ended:
    """Run one session of `jobs`, which have one target, to its end.

    Args:
        workers: processes that run tests; 1 is a session without pytest-xdist.
    """
    extra = environment_of(jobs[0].target)
    if workers > 1:
        return _shared(setup, jobs, workers, extra)
    nonce = secrets.token_hex(16)
    spec = {**_spec(setup, jobs, nonce), "args": _arguments(setup, jobs)}
    with leased(jobs[0].target, stop=setup.stop) as device:
        # The time that a test has starts with its process, not with the wait for a device.
        session = Session(jobs, nonce, setup.on_progress)
        nursery = None if device else setup.nursery
        end = supervise(setup.root, spec, session, stop=setup.stop, environment={**extra, **device}, nursery=nursery)
    culprits = dict.fromkeys(session.culprits(), (session, end))
    return Ended(session, end, culprits, is_forged=bool(end.broken))


def environment_of(target: str) -> dict[str, str]:
    """What a child has beyond the allowed variables."""
    # Triton reads this when it is imported; only this target may have it.
    return {"TRITON_INTERPRET": "1"} if target == "cuda-interpreted" else {}


def _shared(setup: Setup, jobs: Sequence[Job], workers: int, environment: Mapping[str, str]) -> Ended:
    team = Team(jobs, workers, setup.on_progress)
    specs = [_spec(setup, jobs, nonce) for nonce in team.nonces]
    xdist = [
        "-p", "pv.process.inject", "-p", "xdist", "--dist", "loadfile", "--no-loadscope-reorder",
        "--max-worker-restart", "0",
    ]  # fmt: skip
    controller = {"plugin": "pv.run.controller", "args": [*xdist, *_arguments(setup, _longest_file_first(jobs))]}
    end = supervise_team(setup.root, controller, specs, team, stop=setup.stop, environment=environment)
    guilty = team.guilty(end)
    culprits: dict[Job, tuple[Picture, Exit]] = {}
    suspects: set[Job] = set()
    for member, exit_ in guilty:
        if member.culprits() and not is_internal(member, exit_):
            culprits.update(dict.fromkeys(member.culprits(), (member, exit_)))
        else:
            suspects.update(member.culprits() or member.begun())
    return Ended(
        team.merged(end), end.controller, culprits, is_shared=True, suspects=frozenset(suspects),
        is_forged=any(exit_.broken for _, exit_ in guilty),
    )  # fmt: skip


def _spec(setup: Setup, jobs: Sequence[Job], nonce: str) -> dict[str, Any]:
    model = setup.root / setup.settings.model if setup.settings.model else None
    return {
        "plugin": "pv.run.supervised",
        "nonce": nonce,
        "nodeids": list(dict.fromkeys(nodeid for job in jobs for nodeid in job.nodeids)),
        "target": jobs[0].target,
        "model": None if model is None else str(model),
        "fault": setup.fault,
        "relative": setup.relative,
        "forced_failure": setup.forced_failure,
        "stop_at_failure": setup.fault is not None and len(jobs) == 1,
    }


def _arguments(setup: Setup, jobs: Sequence[Job]) -> list[str]:
    files = dict.fromkeys(file_argument(setup.root, nodeid) for job in jobs for nodeid in job.nodeids)
    return arguments(setup.root, setup.settings, files, is_run=True)


def file_of(job: Job) -> str:
    return split(job.nodeids[0])[0] if job.nodeids else ""


def _longest_file_first(jobs: Sequence[Job]) -> list[Job]:
    """So that no long file starts last; by the limits, which is all that is known before."""
    limits_s: dict[str, float] = {}
    for job in jobs:
        limits_s[file_of(job)] = limits_s.get(file_of(job), 0.0) + job.timeout_s
    return sorted(jobs, key=lambda job: -limits_s[file_of(job)])
