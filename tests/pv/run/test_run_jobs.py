"""One child for many jobs, and what happens to the others when one of them breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.errors import UsageError
from pv.run.child import FaultTrace, RunEvent, run_jobs
from pv.schema.run import Job
from pv.schema.settings import Settings
from pv.schema.verdict import Result

TESTS = """
import os, sys
from pathlib import Path
import pytest

def test_records(pv):
    pv.record("error", 0.25, limit=1.0, unit="logit")
    pv.attach("note.txt", b"hello")
    assert pv.model.read_bytes() == b"GGUF"

def test_on_device(pv):
    pv.ran_on({"target": "cuda:sm_90", "name": "H200", "launches": 3})

def test_interpreter(pv):
    pv.ran_on({"target": pv.target})
    assert os.environ.get("TRITON_INTERPRET") == ("1" if pv.target == "cuda-interpreted" else None)

def test_counts_sessions():
    with open("sessions", "a") as stream:
        stream.write("x")

def test_dies():
    os._exit(0)

def test_fails():
    assert sorted([2, 1]) == [2, 1]

def test_fails_then_next_dies():
    assert False, "kept"

@pytest.mark.parametrize("x", ["a", "b::c[d]", "ü", "-p"])
def test_parameters(x):
    assert x

def test_environment():
    assert sys.flags.optimize == 0
    assert "PYTEST_ADDOPTS" not in os.environ
    assert not [name for name in os.environ if name.startswith("PV_")]
    assert sys.flags.hash_randomization == 0
    assert sys.stdin.read() == ""
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "test_a.py").write_text(TESTS)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    return tmp_path


def job(*names: str, target: str = "cpu", timeout_s: float = 20.0, file: str = "test_a.py") -> Job:
    return Job("F-" + "-".join(names), "c", tuple(f"{file}::{name}" for name in names), target, timeout_s)


def test_everything_recorded_arrives(root: Path) -> None:
    [outcome] = run_jobs(root, Settings(model="model.gguf"), [job("test_records")])
    assert (outcome.result, outcome.reason, outcome.tests_passed) == (Result.PASS, "1 test passed", 1)
    [value] = outcome.values
    assert (value.name, value.value, value.unit, value.limit, value.margin) == ("error", 0.25, "logit", 1.0, 0.75)
    [attachment] = outcome.attachments
    assert (attachment.name, attachment.data, attachment.size_bytes) == ("note.txt", b"hello", 5)
    # sha256 of b"hello", from coreutils' sha256sum.
    assert attachment.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert outcome.used_model
    assert outcome.versions["pytest"] == pytest.__version__
    assert 0 < outcome.duration_s < 10


def test_outcomes_come_in_the_order_of_the_jobs_whatever_their_targets(root: Path) -> None:
    jobs = [
        job("test_on_device", target="cuda"),
        job("test_interpreter"),
        job("test_interpreter", target="cuda-interpreted"),
        job("test_on_device", target="cuda:sm_80"),
    ]
    outcomes = run_jobs(root, Settings(), jobs)
    assert [outcome.job for outcome in outcomes] == jobs
    assert [outcome.result for outcome in outcomes] == [
        Result.PASS,
        Result.PASS,
        Result.PASS,
        Result.WRONG_TARGET,
    ]
    assert outcomes[0].device == {"target": "cuda:sm_90", "name": "H200", "launches": 3}


def test_failure_shows_the_lines_that_failed(root: Path) -> None:
    [outcome] = run_jobs(root, Settings(), [job("test_fails")])
    assert outcome.result is Result.FAIL
    assert outcome.reason == "AssertionError: assert [1, 2] == [2, 1]"
    assert "test_a.py:" in outcome.detail
    assert str(root) not in outcome.detail


def test_one_that_dies_takes_no_other_with_it(root: Path) -> None:
    jobs = [
        job("test_counts_sessions"),
        job("test_fails_then_next_dies"),
        job("test_dies"),
        job("test_records"),
        job("test_environment"),
    ]
    outcomes = run_jobs(root, Settings(model="model.gguf"), jobs)
    assert [outcome.result for outcome in outcomes] == [
        Result.PASS,
        Result.FAIL,
        Result.ERROR,
        Result.PASS,
        Result.PASS,
    ]
    # Passed once in the session that broke, which proves nothing, and once in a session with an end.
    assert (root / "sessions").read_text() == "xx"


def test_one_child_for_all_jobs_of_a_target(root: Path) -> None:
    run_jobs(root, Settings(), [job("test_counts_sessions"), job("test_counts_sessions", "test_fails")])
    assert (root / "sessions").read_text() == "x"


def test_test_of_two_falsifiers_counts_for_both(root: Path) -> None:
    jobs = [job("test_fails"), job("test_fails", "test_interpreter")]
    assert [outcome.result for outcome in run_jobs(root, Settings(), jobs)] == [Result.FAIL, Result.FAIL]


def test_every_parameter_set_is_run_by_its_exact_id(root: Path) -> None:
    # As pytest writes them: non-ASCII text is escaped.
    names = ["test_parameters[a]", "test_parameters[b::c[d]]", "test_parameters[\\xfc]", "test_parameters[-p]"]
    [outcome] = run_jobs(root, Settings(), [job(*names)])
    assert (outcome.result, outcome.reason) == (Result.PASS, "4 tests passed")


def test_prefix_of_a_name_is_another_test(root: Path) -> None:
    [outcome] = run_jobs(root, Settings(), [job("test_record")])
    assert (outcome.result, outcome.reason) == (Result.ERROR, "not found by pytest")


def test_environment_of_the_developer_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PYTEST_ADDOPTS": "--co", "PYTHONOPTIMIZE": "2", "PYTEST_PLUGINS": "evil"}.items():
        monkeypatch.setenv(name, value)
    assert run_jobs(root, Settings(), [job("test_environment")])[0].result is Result.PASS


def test_settings_of_the_project_that_hide_tests_are_left_out(root: Path) -> None:
    (root / "pytest.ini").write_text("[pytest]\naddopts = --co -k nothing\nmarkers = slow\npythonpath = lib\n")
    (root / "lib").mkdir()
    (root / "lib" / "helper.py").write_text("X = 1\n")
    (root / "test_b.py").write_text(
        "import helper, pytest\n@pytest.mark.slow\ndef test_helper(): assert helper.X == 1\n"
    )
    assert run_jobs(root, Settings(), [job("test_helper", file="test_b.py")])[0].result is Result.PASS


def test_undeclared_marker_is_an_error(root: Path) -> None:
    (root / "test_b.py").write_text("import pytest\n@pytest.mark.falsifise('X')\ndef test_x(): pass\n")
    [outcome] = run_jobs(root, Settings(), [job("test_x", file="test_b.py")])
    assert outcome.result is Result.ERROR
    assert "falsifise" in outcome.reason


def test_time_limit_is_for_all_tests_of_a_job_together(root: Path) -> None:
    (root / "test_b.py").write_text(
        "import pytest, time\n@pytest.mark.parametrize('x', range(4))\ndef test_x(x): time.sleep(0.4)\n"
    )
    names = [f"test_x[{x}]" for x in range(4)]
    slow, patient = run_jobs(
        root, Settings(), [job(*names, timeout_s=1.0, file="test_b.py"), job(*names[:2], file="test_b.py")]
    )
    assert slow.result is Result.TIMEOUT
    assert slow.reason == "more than 1 s in test_b.py::test_x[2]"
    assert 0.9 < slow.duration_s < 2
    assert patient.result is Result.PASS


def test_broken_folder_does_not_touch_another(root: Path) -> None:
    for folder, conftest in (("good", ""), ("bad", "raise RuntimeError('broken conftest')\n")):
        (root / folder).mkdir()
        (root / folder / "conftest.py").write_text(conftest)
        (root / folder / f"test_{folder}.py").write_text("def test_x(): assert True\n")
    good, bad = run_jobs(
        root, Settings(), [job("test_x", file="good/test_good.py"), job("test_x", file="bad/test_bad.py")]
    )
    assert good.result is Result.PASS
    assert bad.result is Result.ERROR
    assert "broken conftest" in bad.detail


def test_hang_at_exit_is_traced_to_its_test(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pv.run.limits.EXIT_GRACE_S", 0.7)
    (root / "test_b.py").write_text(
        "import threading\ndef test_hangs(): threading.Thread(target=threading.Event().wait).start()\n"
    )
    jobs = [job("test_interpreter"), job("test_hangs", file="test_b.py"), job("test_environment")]
    outcomes = run_jobs(root, Settings(), jobs)
    assert [outcome.result for outcome in outcomes] == [Result.PASS, Result.TIMEOUT, Result.PASS]


def test_hostile_job_stops_everything_before_anything_runs(root: Path) -> None:
    with pytest.raises(UsageError, match="not a pytest node id"):
        run_jobs(root, Settings(), [job("test_counts_sessions"), Job("F", "c", ("-p evil",), "cpu", 1.0)])
    assert not (root / "sessions").exists()


def test_no_jobs_is_no_child(root: Path) -> None:
    assert run_jobs(root, Settings(), []) == []


def test_events_tell_start_end_and_judgement(root: Path) -> None:
    events: list[RunEvent] = []
    run_jobs(root, Settings(), [job("test_interpreter"), job("test_fails")], on_event=events.append)
    assert [(event.kind, event.job.falsifier) for event in events] == [
        ("started", "F-test_interpreter"),
        ("ran", "F-test_interpreter"),
        ("started", "F-test_fails"),
        ("ran", "F-test_fails"),
        ("judged", "F-test_interpreter"),
        ("judged", "F-test_fails"),
    ]
    assert [event.outcome.result for event in events if event.outcome] == [Result.PASS, Result.FAIL]


def test_forced_failure_fails_every_test_without_running_it(root: Path) -> None:
    jobs = [job("test_counts_sessions"), job("test_dies")]
    outcomes = run_jobs(root, Settings(), jobs, forced_failure=True)
    assert [outcome.result for outcome in outcomes] == [Result.FAIL, Result.FAIL]
    assert not (root / "sessions").exists()


@pytest.mark.parametrize("target", ["cuda", "cuda-interpreted", "cuda-compiled"])
def test_forced_failure_is_a_failure_on_an_accelerator_too(root: Path, target: str) -> None:
    """The body that would say where it ran does not run; the wiring is what is proved, not the place."""
    [outcome] = run_jobs(root, Settings(), [job("test_counts_sessions", target=target)], forced_failure=True)
    assert outcome.result is Result.FAIL, outcome.reason


def test_fault_is_entered_before_test_modules_are_imported(root: Path) -> None:
    (root / "subject.py").write_text("VALUE = 1\n")
    (root / "faults.py").write_text(
        "import subject\nfrom contextlib import contextmanager\n"
        "@contextmanager\ndef other():\n    subject.VALUE = 2\n    yield\n"
    )
    (root / "test_b.py").write_text("from subject import VALUE\ndef test_x(): assert VALUE == 2\n")
    trace = FaultTrace()
    [outcome] = run_jobs(root, Settings(), [job("test_x", file="test_b.py")], fault="faults:other", trace=trace)
    assert outcome.result is Result.PASS
    assert (trace.entered, trace.applied, trace.broken) == (True, False, "")


def test_child_sees_one_device_of_the_visible_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set before the child imports anything, so that no library has counted the devices yet."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,4")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "test_d.py").write_text(
        "import os\nSEEN = os.environ['CUDA_VISIBLE_DEVICES']\n"
        "def test_x(pv):\n    pv.ran_on({'target': 'cuda:sm_90', 'visible': SEEN, 'launches': 1})\n"
    )
    jobs = [Job("F-d", "c", ("test_d.py::test_x",), target, 20.0) for target in ("cuda", "cuda:sm_90")]
    outcomes = run_jobs(tmp_path, Settings(), jobs)
    assert [(outcome.result, outcome.device.get("visible")) for outcome in outcomes] == [(Result.PASS, "6")] * 2
