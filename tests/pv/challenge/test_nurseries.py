"""A library that is imported early must not make a test fail that would have passed: no catch is invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.challenge import challenge_jobs
from pv.run.child import run_jobs
from pv.schema.run import Job
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome

TESTS = """
import sys

def test_looks_first():
    assert "numpy" not in sys.modules

def test_imports():
    import numpy

def test_sees():
    assert "numpy" in sys.modules

def test_sees_as_well():
    assert "numpy" in sys.modules
"""

FAULTS = """
from contextlib import contextmanager

class Applied:
    applied = True

@contextmanager
def harmless():
    yield Applied
"""


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    (tmp_path / "test_a.py").write_text(TESTS)
    (tmp_path / "faults.py").write_text(FAULTS)
    names = ("looks_first", "imports", "sees", "sees_as_well")
    return [Job(name, "c", (f"test_a.py::test_{name}",), "cpu", 20.0) for name in names]


def test_a_challenge_finds_no_library_that_its_test_did_not_pass_with(tmp_path: Path, jobs: list[Job]) -> None:
    """The first two would fail with it, the last two without it; the fault changes nothing for any of them."""
    outcomes = run_jobs(tmp_path, Settings(), jobs)
    assert ["numpy" in outcome.modules for outcome in outcomes] == [False, False, True, True]
    batch = [(job, ["faults:harmless"]) for job in jobs]
    done = challenge_jobs(tmp_path, Settings(), batch, modules={item.job: item.modules for item in outcomes})
    assert [run.outcome for _, [run] in done] == [ChallengeOutcome.SURVIVED] * 4
