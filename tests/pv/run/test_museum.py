"""Every exhibit is run the way `pv discharge` runs falsifiers; none of them may come out as evidence."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pv.bind.collect import collect
from pv.challenge import challenge_jobs
from pv.run.child import RunEvent, run_jobs
from pv.schema.binding import Collection
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome, Result
from support.museum import Exhibit, build, exhibits

EXHIBITS = exhibits()
RUNS = [exhibit for exhibit in EXHIBITS if exhibit.run]
CHALLENGED = [exhibit for exhibit in EXHIBITS if exhibit.challenge]
BOUND = [exhibit for exhibit in EXHIBITS if exhibit.bind]
HANG_S = 1.0
"""Limit of what must hang; the others have time, so that a busy machine does not change their verdict."""
LIMITS_S = {"START_LIMIT_S": 6.0, "IMPORT_LIMIT_S": 1.5, "EXIT_GRACE_S": 1.0}
SETTINGS = Settings(import_mode="importlib", workers=2)
HONEST = Job("honest", "museum", ("honest.py::test_case",), "cpu", LIMITS_S["IMPORT_LIMIT_S"])
DEMANDED = re.compile(r"its reports demand \d")
"""The exit status depends on what else was in the session."""


def job(exhibit: Exhibit) -> Job:
    timeout_s = HANG_S if exhibit.run.startswith("TIMEOUT") else 60.0
    return Job(exhibit.path, "museum", (exhibit.nodeid,), exhibit.target, timeout_s)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = build(tmp_path_factory.mktemp("museum"))
    (root / "honest.py").write_text("import subject\n\n\ndef test_case():\n    assert subject.double(2) == 4\n")
    return root


@dataclass
class Run:
    """All exhibits once: what they came to, and the seconds from the start of each (or of its session) to that."""

    outcomes: dict[str, Outcome]
    wall_s: dict[str, float]


def run_museum(root: Path, workers: int) -> Run:
    """Exhibits that break no other are run together, the others one by one; two sessions at a time.

    With several workers, each of those others has an honest test beside it, in a file of its own.
    """
    together = [job(exhibit) for exhibit in EXHIBITS if not exhibit.is_alone]
    alone = [job(exhibit) for exhibit in EXHIBITS if exhibit.is_alone]
    batches = [together[0::2], together[1::2], *([item, HONEST] if workers > 1 else [item] for item in alone)]
    run = Run({}, {})

    def one(jobs: list[Job]) -> None:
        since = time.monotonic()
        started: dict[Job, float] = {}

        def listen(event: RunEvent) -> None:
            nonlocal since
            now = time.monotonic()
            if event.kind == "started":
                started[event.job] = now
            elif event.outcome is not None:
                run.wall_s[event.job.falsifier] = now - started.get(event.job, since)
                since = now

        for outcome in run_jobs(root, SETTINGS, jobs, workers=workers, on_event=listen):
            run.outcomes[outcome.job.falsifier] = outcome

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        for name, limit_s in LIMITS_S.items():
            patch.setattr(f"pv.run.limits.{name}", limit_s)
        list(pool.map(one, batches))
    return run


@pytest.fixture(scope="module")
def alone(root: Path) -> Run:
    return run_museum(root, workers=1)


@pytest.fixture(scope="module")
def shared(root: Path) -> Run:
    return run_museum(root, workers=3)


@pytest.fixture(scope="module")
def outcomes(alone: Run) -> dict[str, Outcome]:
    return alone.outcomes


@pytest.fixture(scope="module")
def challenges(root: Path) -> dict[str, ChallengeRun]:
    batch = [(job(exhibit), (exhibit.fault,)) for exhibit in CHALLENGED]
    return {done.falsifier: runs[0] for done, runs in challenge_jobs(root, SETTINGS, batch)}


@pytest.fixture(scope="module")
def collection(root: Path) -> Collection:
    return collect(root, SETTINGS, [exhibit.path for exhibit in BOUND])


@pytest.mark.parametrize("exhibit", RUNS, ids=lambda exhibit: exhibit.path)
def test_run_is_named(exhibit: Exhibit, outcomes: dict[str, Outcome]) -> None:
    result, _, piece = exhibit.run.partition(" ")
    outcome = outcomes[exhibit.path]
    assert outcome.result in result.split("|"), outcome.reason
    assert outcome.result is not Result.PASS
    assert any(part in outcome.reason for part in piece.split("|")), outcome.reason
    assert "\n" not in outcome.reason


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.path)
def test_workers_change_nothing(exhibit: Exhibit, alone: Run, shared: Run) -> None:
    def told(run: Run) -> tuple[object, ...]:
        outcome = run.outcomes[exhibit.path]
        kept = (outcome.values, outcome.attachments, outcome.device, outcome.ran_target, outcome.used_model)
        reason = DEMANDED.sub("", outcome.reason)
        return outcome.result, reason, kept, outcome.tests_begun, outcome.tests_passed

    assert told(shared) == told(alone)


@pytest.mark.parametrize("workers", ["alone", "shared"])
def test_nobody_waits_longer_than_the_limit_plus_5_s(workers: str, request: pytest.FixtureRequest) -> None:
    """The limit is the test's own, or that of what hangs: the start, an import, the exit."""
    run: Run = request.getfixturevalue(workers)
    limit_s = {item.path: max(job(item).timeout_s, LIMITS_S["START_LIMIT_S"] if item.is_alone else 0) for item in RUNS}
    assert {path: run.wall_s[path] for path in limit_s if run.wall_s[path] > limit_s[path] + 5} == {}


@pytest.mark.parametrize("exhibit", CHALLENGED, ids=lambda exhibit: exhibit.path)
def test_challenge_shows_what_the_run_cannot(
    exhibit: Exhibit, outcomes: dict[str, Outcome], challenges: dict[str, ChallengeRun]
) -> None:
    """These pass when they are run; the seeded fault is what gives them away."""
    assert outcomes[exhibit.path].result is Result.PASS
    assert challenges[exhibit.path].outcome == exhibit.challenge, challenges[exhibit.path].reason
    assert challenges[exhibit.path].outcome is not ChallengeOutcome.CAUGHT


@pytest.mark.parametrize("exhibit", BOUND, ids=lambda exhibit: exhibit.path)
def test_source_shows_it(exhibit: Exhibit, collection: Collection) -> None:
    tests = collection.bound_to(exhibit.nodeid)
    facts = {
        "constant": any(test.constant_assertions_only for test in tests),
        "unchecked": any(test.checks == 0 for test in tests),
        "self-referential": any(test.reads_own_contract for test in tests),
        "shadowed": any(nodeid == exhibit.nodeid for nodeid, _ in collection.shadowed),
    }
    assert [fact for fact, holds in facts.items() if holds] == exhibit.bind.split(", ")


def test_museum_is_large_enough_and_every_exhibit_is_labelled() -> None:
    assert len(EXHIBITS) >= 60
    assert [exhibit.path for exhibit in EXHIBITS if not (exhibit.run or exhibit.challenge)] == []


def test_honest_test_in_the_same_folder_passes_and_catches(root: Path) -> None:
    """Without it, a runner that never says PASS would look perfect here."""
    patient = replace(HONEST, timeout_s=60.0)
    assert run_jobs(root, SETTINGS, [patient])[0].result is Result.PASS
    faults = ("faults:wrong_double", "faults:nan_double")
    [(_, runs)] = challenge_jobs(root, SETTINGS, [(patient, faults)])
    assert [run.outcome for run in runs] == [ChallengeOutcome.CAUGHT] * 2
