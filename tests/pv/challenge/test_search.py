"""The search for who catches a fault: whom it asks, in which order, and what counts; no process is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pv.challenge import search as subject
from pv.challenge.search import Search, search
from pv.run.child import FaultTrace
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome, Result

CAUGHT, SURVIVED = ChallengeOutcome.CAUGHT, ChallengeOutcome.SURVIVED


def passed(name: str, duration_s: float, target: str = "cpu") -> Outcome:
    return Outcome(Job(name, "c", (f"{name}.py::test",), target, 10.0), Result.PASS, "1 test passed", duration_s)


QUICK, MIDDLE, SLOW, OTHER = passed("quick", 0.5), passed("middle", 0.6), passed("slow", 3.0), passed("other", 0.1, "x")


class Project:
    """Who fails beside others, and who alone; what was asked."""

    def __init__(self, beside: set[str], alone: set[str], *, is_applied: bool = True) -> None:
        self.beside, self.alone, self.is_applied = beside, alone, is_applied
        self.groups: list[list[str]] = []
        self.tried: list[str] = []

    def run_jobs(self, _root: Path, _settings: Settings, jobs: Sequence[Job], **how: Any) -> list[Outcome]:
        trace: FaultTrace = how["trace"]
        trace.entered, trace.applied = True, self.is_applied
        self.groups.append([job.falsifier for job in jobs])
        results = [Result.FAIL if job.falsifier in self.beside else Result.PASS for job in jobs]
        return [Outcome(job, result, "reason", 0.1) for job, result in zip(jobs, results, strict=True)]

    def challenge_jobs(
        self, _root: Path, _settings: Settings, batch: Sequence[tuple[Job, Sequence[str]]], **_: Any
    ) -> list[tuple[Job, list[ChallengeRun]]]:
        self.tried += [job.falsifier for job, _ in batch]

        def run(job: Job, fault: str) -> ChallengeRun:
            return ChallengeRun(fault, CAUGHT if job.falsifier in self.alone else SURVIVED, "reason", 0.1)

        return [(job, [run(job, fault) for fault in faults]) for job, faults in batch]


Found = list[tuple[str, ChallengeOutcome]]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Found]:
    def run(project: Project, *outcomes: Outcome, everything: bool = False) -> Found:
        monkeypatch.setattr(subject, "run_jobs", project.run_jobs)
        monkeypatch.setattr(subject, "challenge_jobs", project.challenge_jobs)
        how = Search(tmp_path, Settings(), 1, everything)
        return [(job.falsifier, run.outcome) for job, run in search(how, {"m:f": outcomes})]

    return run


def test_quick_ones_are_asked_first_and_together_and_the_first_catch_is_enough(searched) -> None:
    project = Project({"middle", "slow"}, {"middle", "slow"})
    assert searched(project, SLOW, MIDDLE, QUICK) == [("quick", SURVIVED), ("middle", CAUGHT)]
    assert (project.groups, project.tried) == ([["quick"], ["middle", "slow"]], ["middle"])


def test_several_that_take_a_second_share_a_process_and_of_them_the_quickest_is_asked_alone(searched) -> None:
    project = Project({"other", "third"}, {"other", "third"})
    assert searched(project, passed("other", 0.2), passed("third", 0.3)) == [("other", CAUGHT)]
    assert project.groups == [["other", "third"]]


def test_failing_beside_others_is_no_catch(searched) -> None:
    """Then the next one that failed is asked, and after that those that were not asked yet."""
    project = Project({"quick", "second", "slow"}, {"slow"})
    found = searched(project, QUICK, passed("second", 0.4), SLOW)
    assert found == [("second", SURVIVED), ("quick", SURVIVED), ("slow", CAUGHT)]
    assert project.tried == ["second", "quick", "slow"]


def test_everybody_is_asked_for_a_matrix(searched) -> None:
    project = Project({"quick", "slow"}, {"quick", "slow"})
    assert sorted(searched(project, QUICK, MIDDLE, SLOW, everything=True)) == [
        ("middle", SURVIVED),
        ("quick", CAUGHT),
        ("slow", CAUGHT),
    ]


def test_targets_do_not_share_a_process(searched) -> None:
    project = Project(set(), set(), is_applied=False)
    found = searched(project, QUICK, OTHER)
    assert project.groups == [["quick"], ["other"]]
    assert {outcome for _, outcome in found} == {ChallengeOutcome.NOT_APPLIED}


def test_fault_that_nobody_could_meet_is_not_run(searched) -> None:
    project = Project(set(), set())
    assert searched(project) == []
    assert project.groups == []
