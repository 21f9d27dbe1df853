"""Seeded faults: caught, survived, broken or never applied, each told apart from the others."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pv.challenge import challenge, challenge_jobs
from pv.challenge.outcomes import interpret
from pv.process.supervise import Stopped
from pv.run.child import FaultTrace, run_jobs
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome, Result

SUBJECT = """
SCALE = 2

def double(x):
    return x * SCALE
"""

FAULTS = """
import threading
from contextlib import contextmanager

import subject

@contextmanager
def _double(replacement):
    right, subject.double = subject.double, replacement
    yield
    subject.double = right

def plus_one():
    right = subject.double
    return _double(lambda x: right(x) + 1)

def raises():
    def broken(x):
        raise ZeroDivisionError(x)
    return _double(broken)

def hangs():
    def endless(x):
        while True:
            pass
    return _double(endless)

@contextmanager
def unused():
    def never(x):
        return 0
    subject.nobody_calls_this = never
    yield

class Applied:
    applied = True

@contextmanager
def scale():
    subject.SCALE = 3
    yield Applied

@contextmanager
def scale_without_a_word():
    subject.SCALE = 3
    yield

@contextmanager
def cannot_be_entered():
    raise RuntimeError("no such kernel")
    yield

def needs_arguments(size):
    return _double(lambda x: size)

not_a_factory = 3
"""

TESTS = """
import threading

import subject

def test_double():
    assert subject.double(2) == 4

def test_in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(subject.double(2)))
    thread.start()
    thread.join()
    assert results == [4]

def test_blind():
    assert subject.double(2) > 0

def test_error_is_no_catch():
    if subject.double(2) != 4:
        raise RuntimeError("wrong")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in (("subject", SUBJECT), ("faults", FAULTS), ("test_a", TESTS)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def job(name: str, timeout_s: float = 20.0) -> Job:
    return Job(f"F-{name}", "c", (f"test_a.py::{name}",), "cpu", timeout_s)


def outcomes(runs: list[ChallengeRun]) -> list[ChallengeOutcome]:
    return [run.outcome for run in runs]


@pytest.mark.parametrize("name", ["test_double", "test_in_a_thread"])
def test_good_falsifier_catches_what_is_applied(name: str, root: Path) -> None:
    faults = ["faults:plus_one", "faults:scale", "faults:unused", "faults:scale_without_a_word"]
    assert outcomes(challenge(root, Settings(), job(name), faults)) == [
        ChallengeOutcome.CAUGHT,
        ChallengeOutcome.CAUGHT,
        ChallengeOutcome.NOT_APPLIED,
        ChallengeOutcome.NOT_APPLIED,
    ]


def test_blind_falsifier_survives(root: Path) -> None:
    [run] = challenge(root, Settings(), job("test_blind"), ["faults:plus_one"])
    assert (run.outcome, run.reason) == (ChallengeOutcome.SURVIVED, "passed with the fault in place")


def test_error_and_timeout_are_no_catch(root: Path) -> None:
    [run] = challenge(root, Settings(), job("test_error_is_no_catch"), ["faults:plus_one"])
    assert (run.outcome, run.reason) == (
        ChallengeOutcome.BROKEN,
        "ended in ERROR, not in a failed assertion: call: RuntimeError: wrong",
    )
    raised, hung = challenge(root, Settings(), job("test_double", 1.0), ["faults:raises", "faults:hangs"])
    assert raised.outcome is ChallengeOutcome.BROKEN
    assert hung.outcome is ChallengeOutcome.BROKEN
    assert "TIMEOUT" in hung.reason


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("faults:cannot_be_entered", "RuntimeError: no such kernel"),
        ("faults:needs_arguments", "TypeError"),
        ("faults:not_a_factory", "TypeError"),
        ("faults:gone", "AttributeError"),
        ("no_such_module:fault", "ModuleNotFoundError"),
    ],
)
def test_fault_that_cannot_be_seeded_is_broken(fault: str, why: str, root: Path) -> None:
    trace = FaultTrace()
    [outcome] = run_jobs(root, Settings(), [job("test_double")], fault=fault, trace=trace)
    kind, reason = interpret(outcome, trace)
    assert kind is ChallengeOutcome.BROKEN
    assert reason.startswith(f"the fault cannot be seeded: {fault}: {why}")


def test_wiring_that_hides_failures_makes_every_challenge_broken(root: Path) -> None:
    """Found by the forced failure: this conftest never calls a test, so it passes whatever is wrong."""
    (root / "conftest.py").write_text(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(): return True\n"
    )
    [run] = challenge(root, Settings(), job("test_double"), ["faults:plus_one"])
    assert run.outcome is ChallengeOutcome.BROKEN
    assert run.reason == "a forced failure came out as PASS: 1 test passed"


def test_batch_keeps_its_order_and_reports_as_runs_end(root: Path) -> None:
    seen: list[tuple[str, str]] = []
    batch: list[tuple[Job, tuple[str, ...]]] = [
        (job("test_double"), ("faults:plus_one", "faults:unused")),
        (job("test_in_a_thread"), ()),
        (job("test_blind"), ("faults:plus_one",)),
    ]
    done = challenge_jobs(
        root, Settings(), batch, workers=2, on_challenge=lambda job, run: seen.append((job.falsifier, run.fault))
    )
    assert [job.falsifier for job, _ in done] == ["F-test_double", "F-test_in_a_thread", "F-test_blind"]
    assert [outcomes(runs) for _, runs in done] == [
        [ChallengeOutcome.CAUGHT, ChallengeOutcome.NOT_APPLIED],
        [],
        [ChallengeOutcome.SURVIVED],
    ]
    assert sorted(seen) == [
        ("F-test_blind", "faults:plus_one"),
        ("F-test_double", "faults:plus_one"),
        ("F-test_double", "faults:unused"),
    ]


def test_empty_batch_is_no_child(root: Path) -> None:
    assert challenge_jobs(root, Settings(), []) == []


def test_interrupt_ends_all_children(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception of the caller's thread is what comes out, and soon."""

    def interrupt(job: Job, run: ChallengeRun) -> None:
        raise KeyboardInterrupt

    batch = [(job("test_double", 300.0), ("faults:plus_one", "faults:hangs", "faults:hangs"))]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        challenge_jobs(root, Settings(), batch, workers=2, on_challenge=interrupt)
    assert time.monotonic() - began < 10
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("challenge")] == []


def test_stopped_run_has_no_outcome(root: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        run_jobs(root, Settings(), [job("test_double")], fault="faults:hangs", stop=stop)


@pytest.mark.parametrize("result", Result)
@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("broken", ["", "no such module"])
def test_caught_needs_a_failure_with_the_fault_applied(
    result: Result, entered: bool, applied: bool, broken: str
) -> None:
    outcome = Outcome(job("test_double"), result, "reason", 0.0)
    kind, _ = interpret(outcome, FaultTrace(entered, applied, broken))
    assert (kind is ChallengeOutcome.CAUGHT) == (result is Result.FAIL and entered and applied and not broken)
    assert (kind is ChallengeOutcome.SURVIVED) == (result is Result.PASS and entered and applied and not broken)


def test_graded_fault_is_called_with_its_size(root: Path) -> None:
    """The falsifier compares with a limit of 1e-3 of 4, so relative sizes from 1e-3 on are caught."""
    (root / "graded.py").write_text(
        "from contextlib import contextmanager\nimport subject\n\n@contextmanager\ndef scale(relative=0.5):\n"
        "    right = subject.double\n    subject.double = lambda x: right(x) * (1 + relative)\n"
        "    yield\n    subject.double = right\n"
    )
    (root / "test_b.py").write_text(
        "import subject\n\ndef test_near():\n    assert abs(subject.double(2) - 4) < 4e-3\n"
    )
    near = Job("F-near", "c", ("test_b.py::test_near",), "cpu", 20.0)
    [(_, [plain])] = challenge_jobs(root, Settings(), [(near, ["graded:scale"])])
    assert (plain.outcome, plain.sensitivity) == (ChallengeOutcome.CAUGHT, None)
    graded = {("F-near", "graded:scale"), ("F-near", "faults:plus_one")}
    [(_, runs)] = challenge_jobs(root, Settings(), [(near, ["graded:scale", "faults:unused"])], graded=graded)
    assert runs[0].sensitivity is not None
    assert runs[0].sensitivity.smallest_caught == pytest.approx(1e-3, rel=0.05)
    assert runs[1].sensitivity is None


def test_fault_that_takes_no_size_has_no_sensitivity(root: Path) -> None:
    [(_, [run])] = challenge_jobs(
        root, Settings(), [(job("test_double"), ["faults:plus_one"])], graded={("F-test_double", "faults:plus_one")}
    )
    assert run.outcome is ChallengeOutcome.CAUGHT
    assert run.sensitivity is not None
    assert run.sensitivity.smallest_caught is None
    assert {outcome for _, outcome in run.sensitivity.tried} == {ChallengeOutcome.BROKEN}
