"""Every exhibit is run the way `pv discharge` runs falsifiers; none of them may come out as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pv.bind.collect import collect
from pv.challenge import challenge_jobs
from pv.run.child import run_jobs
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
SETTINGS = Settings(import_mode="importlib", workers=2)


def job(exhibit: Exhibit) -> Job:
    timeout_s = HANG_S if exhibit.run.startswith("TIMEOUT") else 60.0
    return Job(exhibit.path, "museum", (exhibit.nodeid,), exhibit.target, timeout_s)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("museum"))


@pytest.fixture(scope="module")
def outcomes(root: Path) -> Iterator[dict[str, Outcome]]:
    """Exhibits that break no other are run together, the others one by one; two children at a time."""
    together = [job(exhibit) for exhibit in EXHIBITS if not exhibit.is_alone]
    batches = [[job(exhibit)] for exhibit in EXHIBITS if exhibit.is_alone]
    batches += [together[0::2], together[1::2]]
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        for name, limit_s in (("START_LIMIT_S", 6.0), ("IMPORT_LIMIT_S", 1.5), ("EXIT_GRACE_S", 1.0)):
            patch.setattr(f"pv.run.limits.{name}", limit_s)
        found = pool.map(lambda jobs: run_jobs(root, SETTINGS, jobs), batches)
        yield {outcome.job.falsifier: outcome for outcomes in found for outcome in outcomes}


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
    (root / "honest.py").write_text("import subject\n\n\ndef test_case():\n    assert subject.double(2) == 4\n")
    honest = Job("honest", "museum", ("honest.py::test_case",), "cpu", 60.0)
    assert run_jobs(root, SETTINGS, [honest])[0].result is Result.PASS
    faults = ("faults:wrong_double", "faults:nan_double")
    [(_, runs)] = challenge_jobs(root, SETTINGS, [(honest, faults)])
    assert [run.outcome for run in runs] == [ChallengeOutcome.CAUGHT] * 2
