"""Falsifiers that have passed are challenged while others are still tested; what comes out is the same."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from pv.config import load_settings
from pv.schema.run import ChallengeRun, Job
from pv.workflow.discharge import Watch, discharge
from pv.workflow.discharged import DischargeReport
from pv.workflow.select import readable_catalog, select
from support.project import CONTRACT, write_project

HEAD, ONE = CONTRACT.split("falsifiers:\n")

FAULTS = """
from contextlib import contextmanager
from pathlib import Path

from lib import double as subject

@contextmanager
def off_by_one():
    with Path("seeded").open("a") as file:
        file.write("x")
    right = subject.double
    subject.double = lambda x: right(x) + 1
    yield
"""

HEADER = """
import os
import time
from pathlib import Path

import pytest

from lib import double as subject

def falsifier(number):
    return pytest.mark.falsifies(f"FALSIFY-DOUBLE-{number:03}")
"""

PASSES = """
@falsifier(1)
def test_1(pv):
    pv.record("max_abs_error", abs(subject.double(3) - 6), limit=1e-6)
"""

WAITS = """
@falsifier(2)
def test_2(pv):
    until = time.monotonic() + SECONDS
    while not Path("seeded").exists() and time.monotonic() < until:
        time.sleep(0.01)
    pv.record("seeded meanwhile", int(Path("seeded").exists()))
    pv.record("max_abs_error", abs(subject.double(3) - 6), limit=1e-6)
"""

CRASHES_ONCE = """
@falsifier(2)
def test_2(pv):
    while not Path("seeded").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
"""

FAILS_THE_SECOND_TIME = """
@falsifier(1)
def test_1(pv):
    pv.record("max_abs_error", abs(subject.double(3) - 6), limit=1e-6)
    with Path("tries").open("a") as file:
        file.write("x")
    assert Path("tries").read_text() == "x"
"""
"""The second time is after another test has ended the first session; with the fault it ends one line earlier."""


def discharged(root: Path, *tests: str, workers: int | None = None, watch: Watch | None = None) -> DischargeReport:
    contract = f"{HEAD}falsifiers:\n" + "".join(
        ONE.replace("FALSIFY-DOUBLE-001", f"FALSIFY-DOUBLE-{n:03}").replace("::test_double", f"::test_{n}")
        for n in range(1, len(tests) + 1)
    )
    write_project(root, contract=contract, faults=FAULTS, test=HEADER + "".join(tests))
    project, settings = load_settings(root)
    selected = select(readable_catalog(project, settings), [])
    return discharge(project, settings, selected, ["cpu"], watch or Watch(), workers=workers)


def told(report: DischargeReport) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [
        (
            entry.planned.falsifier.id,
            entry.outcome.result.value,
            [(run.fault, run.outcome.value, run.reason) for run in entry.challenges],
        )
        for entry in report.entries
    ]


def seeded_meanwhile(report: DischargeReport) -> bool:
    return bool(next(value.value for value in report.entries[1].outcome.values if value.name == "seeded meanwhile"))


def test_what_comes_out_does_not_depend_on_what_runs_meanwhile(tmp_path: Path) -> None:
    """With one worker nothing is seeded before the last test has ended; otherwise the first is challenged by then."""
    beside = discharged(tmp_path / "a", PASSES, WAITS.replace("SECONDS", "20"))
    after = discharged(tmp_path / "b", PASSES, WAITS.replace("SECONDS", "1"), workers=1)
    shared = discharged(tmp_path / "c", PASSES, WAITS.replace("SECONDS", "1"), workers=2)
    assert [seeded_meanwhile(report) for report in (beside, after, shared)] == [True, False, False]
    assert told(beside) == told(after) == told(shared)
    [(_, result, [(_, outcome, _)]), _] = told(beside)
    assert (result, outcome) == ("PASS", "CAUGHT")


def test_a_session_that_breaks_later_does_not_repeat_challenges(tmp_path: Path) -> None:
    [first, second] = told(discharged(tmp_path, PASSES, CRASHES_ONCE))
    assert (first[1], [outcome for _, outcome, _ in first[2]]) == ("PASS", ["CAUGHT"])
    assert second[1:] == ("CRASH", [])
    assert (tmp_path / "seeded").read_text() == "x"


def test_who_passes_and_then_does_not_has_no_challenges(tmp_path: Path) -> None:
    [first, _] = told(discharged(tmp_path, FAILS_THE_SECOND_TIME, CRASHES_ONCE))
    assert (tmp_path / "seeded").read_text() == "x"
    assert first[1:] == ("FAIL", [])


def test_interrupt_in_the_midst_of_both_ends_both(tmp_path: Path) -> None:
    def interrupt(job: Job, run: ChallengeRun) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        discharged(tmp_path, PASSES, WAITS.replace("SECONDS", "20"), watch=Watch(challenged=interrupt))
    assert time.monotonic() - began < 20
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("challenge")] == []
    [ledger] = (tmp_path / "evidence/ledger").iterdir()
    assert [json.loads(line)["event"] for line in ledger.read_text().splitlines()] == ["intent"]
