"""Workers of pytest-xdist change no result, whatever a test, a conftest or a worker's end tries."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pv.process.supervise import Stopped
from pv.run.child import FaultTrace, RunEvent, run_jobs
from pv.schema.run import Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import Result

Seen = tuple[str, Result, str, int, int]


def job(path: str, name: str, timeout_s: float = 20.0, target: str = "cpu") -> Job:
    return Job(f"{path}.{name}", "c", (f"{path}.py::{name}",), target, timeout_s)


def write(root: Path, **files: str) -> list[Job]:
    """One job for every test."""
    for name, text in files.items():
        (root / f"{name}.py").write_text(text)
    return [
        job(name, line.split("(")[0].removeprefix("def "))
        for name, text in files.items()
        for line in text.splitlines()
        if line.startswith("def test_")
    ]


def seen(outcomes: list[Outcome]) -> list[Seen]:
    return [(item.job.falsifier, item.result, item.reason, item.tests_begun, item.tests_passed) for item in outcomes]


def results(root: Path, jobs: list[Job], workers: int = 2) -> dict[str, Result]:
    return {item.job.falsifier: item.result for item in run_jobs(root, Settings(), jobs, workers=workers)}


PASSES = "def test_first(): assert 1\ndef test_second(): assert 1\n"
KINDS = {
    "a": "def test_passes(): assert 1\ndef test_fails(): assert 0\ndef test_after(): assert 1\n",
    "b": "import os\ndef test_dies(): os.abort()\ndef test_passes(): assert 1\n",
    "c": "import pytest\ndef test_skips(): pytest.skip('no')\ndef test_raises(): raise KeyError('x')\n",
    "d": "raise RuntimeError('at import')\ndef test_passes(): assert 1\n",
}


def test_workers_change_no_result_and_every_job_is_judged_once(tmp_path: Path) -> None:
    jobs = [*write(tmp_path, **KINDS), job("a", "test_gone")]
    jobs = jobs[1::2] + jobs[0::2]
    said: list[tuple[str, str]] = []

    def listen(event: RunEvent) -> None:
        if event.outcome is not None:
            said.append((event.job.falsifier, str(event.outcome.result)))

    alone = seen(run_jobs(tmp_path, Settings(), jobs))
    together = seen(run_jobs(tmp_path, Settings(), jobs, workers=3, on_event=listen))
    assert together == alone
    kinds = {Result.PASS, Result.FAIL, Result.CRASH, Result.SKIPPED, Result.ERROR}
    assert {result for _, result, *_ in alone} == kinds
    assert sorted(said) == sorted((name, str(result)) for name, result, *_ in together)


def test_files_run_in_workers_of_xdist_and_stay_whole(tmp_path: Path) -> None:
    text = (
        "import os\ndef where(pv):\n    assert os.environ['PYTEST_XDIST_WORKER_COUNT'] == '2'\n"
        "    pv.record('pid', os.getpid())\n"
        "def test_x(pv): where(pv)\ndef test_y(pv): where(pv)\n"
    )
    outcomes = run_jobs(tmp_path, Settings(), write(tmp_path, a=text, b=text, c=text), workers=2)
    assert [outcome.reason for outcome in outcomes] == ["1 test passed"] * 6
    pids = [outcome.values[0].value for outcome in outcomes]
    assert pids[0::2] == pids[1::2]
    assert len(set(pids)) == 2


def test_a_device_gets_one_process(tmp_path: Path) -> None:
    text = "import os\ndef test_x(pv): pv.ran_on({'target': 'cuda:sm_90', 'pid': os.getpid(), 'launches': 1})\n"
    write(tmp_path, a=text, b=text)
    outcomes = run_jobs(tmp_path, Settings(), [job(name, "test_x", target="cuda") for name in "ab"], workers=4)
    assert [outcome.result for outcome in outcomes] == [Result.PASS] * 2
    assert len({outcome.device["pid"] for outcome in outcomes}) == 1


def test_values_and_attachments_arrive_from_every_worker(tmp_path: Path) -> None:
    text = "def test_x(pv):\n    pv.record('error', 0.5, limit=1.0)\n    pv.attach('note', b'hello')\n    pv.model\n"
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    write(tmp_path, a=text, b=text)
    jobs = [job(name, "test_x") for name in "ab"]
    for outcome in run_jobs(tmp_path, Settings(model="model.gguf"), jobs, workers=2):
        assert outcome.result is Result.PASS
        assert [(value.value, value.limit) for value in outcome.values] == [(0.5, 1.0)]
        assert [attachment.data for attachment in outcome.attachments] == [b"hello"]
        assert outcome.used_model
        assert outcome.versions["pytest"] == pytest.__version__


def test_worker_killed_from_its_test_takes_no_other_with_it(tmp_path: Path) -> None:
    killed = "import os\ndef test_passes(): pass\ndef test_kills(): os.kill(os.getpid(), 9)\n"
    jobs = write(tmp_path, a=killed, b=PASSES, c=PASSES)
    outcomes = run_jobs(tmp_path, Settings(), jobs, workers=3)
    assert (outcomes[1].result, outcomes[1].reason) == (Result.CRASH, "SIGKILL in a.py::test_kills")
    assert [outcome.result for outcome in outcomes if outcome.job is not jobs[1]] == [Result.PASS] * 5


def test_worker_that_hangs_is_blamed_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path, a="import time\ndef test_hangs(): time.sleep(600)\n", b=PASSES, c=PASSES)
    jobs = [job("a", "test_hangs", 1.0), job("b", "test_first"), job("c", "test_second")]
    began = time.monotonic()
    outcomes = run_jobs(tmp_path, Settings(), jobs, workers=3)
    assert [outcome.result for outcome in outcomes] == [Result.TIMEOUT, Result.PASS, Result.PASS]
    assert outcomes[0].reason == "more than 1 s in a.py::test_hangs"
    assert 0.9 < outcomes[0].duration_s < 3
    assert time.monotonic() - began < 30


IN_CONTROLLER = (
    "import os\nimport pytest\n\ndef is_controller(config): return getattr(config.option, 'dist', 'no') != 'no'\n"
)


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_reports_rewritten_in_the_controller_decide_nothing(outcome: str, tmp_path: Path) -> None:
    jobs = write(
        tmp_path,
        conftest="@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_logreport(report):\n"
        f"    if hasattr(report, 'node'): report.outcome = {outcome!r}\n".join([IN_CONTROLLER, ""]),
        a="def test_fails(): assert 0\n",
        b=PASSES,
    )
    assert results(tmp_path, jobs) == {
        "a.test_fails": Result.FAIL, "b.test_first": Result.PASS, "b.test_second": Result.PASS,
    }  # fmt: skip


@pytest.mark.parametrize(
    "hook",
    ["pytest_sessionstart(session)", "pytest_xdist_node_collection_finished(node)", "pytest_runtest_logstart(nodeid)"],
)
def test_controller_that_exits_early_with_status_0_proves_nothing(hook: str, tmp_path: Path) -> None:
    conftest = (
        IN_CONTROLLER
        + "CONFIG = []\ndef pytest_configure(config): CONFIG.append(config)\n"
        + f"@pytest.hookimpl(optionalhook=True)\ndef {hook}:\n    if is_controller(CONFIG[0]): os._exit(0)\n"
    )
    jobs = write(tmp_path, conftest=conftest, a="def test_fails(): assert 0\n", b=PASSES)
    assert results(tmp_path, jobs) == {
        "a.test_fails": Result.FAIL, "b.test_first": Result.PASS, "b.test_second": Result.PASS,
    }  # fmt: skip


def test_records_with_a_wrong_nonce_break_the_worker_that_sent_them(tmp_path: Path) -> None:
    forge = (
        "import os, time\ndef test_forges():\n    for descriptor in range(3, 4096):\n        try:\n"
        '            os.write(descriptor, b\'{"kind":"start","nonce":"0"}\\n\')\n'
        "        except OSError:\n            pass\n    time.sleep(30)\n"
    )
    outcomes = run_jobs(tmp_path, Settings(), write(tmp_path, a=forge, b=PASSES), workers=2)
    assert [outcome.result for outcome in outcomes] == [Result.ERROR, Result.PASS, Result.PASS]
    assert outcomes[0].reason.startswith("its records cannot be trusted: ")
    assert outcomes[0].reason.endswith("a record with another run's nonce")


def test_tests_find_no_channel_to_connect_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a socket that listens nor one of their own: records go through a pipe without a name."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    search = (
        "import os, stat\nfrom pathlib import Path\ndef test_searches():\n"
        f"    assert os.environ['TMPDIR'].startswith({str(temporary)!r})\n"
        f"    assert [path for path in Path({str(temporary)!r}).rglob('*') if path.is_socket()] == []\n"
        "    for name in os.listdir('/proc/self/fd'):\n"
        "        if os.path.exists(f'/proc/self/fd/{name}'):\n"
        "            assert not stat.S_ISSOCK(os.stat(int(name)).st_mode), name\n"
        "            assert int(name) < 3 or not os.get_inheritable(int(name))\n"
    )
    jobs = write(tmp_path, a=search, b=search.replace("searches", "searches_too"))
    outcomes = run_jobs(tmp_path, Settings(), jobs, workers=2)
    assert [outcome.reason for outcome in outcomes] == ["1 test passed"] * 2
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("sent", ["[]", "[0, 1]", "[0]"], ids=["nothing", "two descriptors", "one descriptor"])
def test_second_connection_in_a_workers_place_decides_nothing(sent: str, tmp_path: Path) -> None:
    """The controller knows the folder of the socket, and so does a conftest there."""
    conftest = IN_CONTROLLER + (
        "import socket\nKEPT = []\ndef pytest_configure(config):\n"
        "    if is_controller(config) and config.option.tx:\n"
        "        folder = config.option.tx[0].split()[-1]\n"
        "        connection = socket.socket(socket.AF_UNIX)\n"
        "        connection.connect(os.path.join(folder, 'socket'))\n"
        f"        socket.send_fds(connection, [b'2'], {sent})\n"
        "        KEPT.append(connection)\n"
    )
    jobs = write(tmp_path, conftest=conftest, a="def test_fails(): assert 0\n", b=PASSES)
    assert results(tmp_path, jobs) == {
        "a.test_fails": Result.FAIL, "b.test_first": Result.PASS, "b.test_second": Result.PASS,
    }  # fmt: skip


def test_controller_cannot_choose_the_environment_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--co")
    conftest = IN_CONTROLLER + (
        "if 'PYTEST_XDIST_WORKER' not in os.environ:\n"
        "    os.environ.update(PYTEST_ADDOPTS='--co', PYTHONPATH='/', PV_MODEL='x', LD_PRELOAD='')\n"
    )
    check = (
        "import os\nfrom pathlib import Path\ndef test_environment():\n"
        "    assert not {'PYTEST_ADDOPTS', 'PYTHONPATH', 'PV_MODEL', 'LD_PRELOAD'} & set(os.environ)\n"
        "    assert 'PYTEST_XDIST_WORKER' in os.environ and Path.cwd() == Path(__file__).parent\n"
    )
    jobs = write(tmp_path, conftest=conftest, a=check, b=check)
    assert set(results(tmp_path, jobs).values()) == {Result.PASS}


def test_what_a_test_attaches_to_its_report_need_not_travel(tmp_path: Path) -> None:
    """execnet refuses objects; the report that tells the controller which test is done has none."""
    text = (
        "import warnings\nclass Odd(UserWarning):\n    def __init__(self, a, b): super().__init__(a)\n"
        "def test_x(request):\n    request.node.user_properties.append((object(), object()))\n"
        "    warnings.warn(Odd(object(), {1}))\n"
    )
    outcomes = run_jobs(tmp_path, Settings(), write(tmp_path, a=text, b=PASSES), workers=2)
    assert [outcome.result for outcome in outcomes] == [Result.PASS] * 3


def test_fault_is_entered_in_every_worker_before_tests_are_imported(tmp_path: Path) -> None:
    check = "from subject import value\nSEEN = value()\ndef test_x(): assert SEEN == 2\n"
    write(
        tmp_path,
        subject="def value(): return 1\n",
        faults="import subject\nfrom contextlib import contextmanager\n"
        "@contextmanager\ndef other():\n    def value(): return 2\n    subject.value = value\n    yield\n",
        a=check,
        b=check,
    )
    trace = FaultTrace()
    jobs = [job(name, "test_x") for name in "ab"]
    outcomes = run_jobs(tmp_path, Settings(), jobs, fault="faults:other", trace=trace, workers=2)
    assert [outcome.result for outcome in outcomes] == [Result.PASS] * 2
    assert (trace.entered, trace.applied, trace.broken) == (True, True, "")


def test_forced_failure_fails_every_test_of_every_worker(tmp_path: Path) -> None:
    canary = "def test_x(): open('ran', 'w')\n"
    write(tmp_path, a=canary, b=canary)
    jobs = [job(name, "test_x") for name in "ab"]
    outcomes = run_jobs(tmp_path, Settings(), jobs, forced_failure=True, workers=2)
    assert [outcome.result for outcome in outcomes] == [Result.FAIL] * 2
    assert not (tmp_path / "ran").exists()


def test_interrupt_ends_every_process(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.py").write_text("import time\ndef test_waits(): time.sleep(100)\n")
    stop = threading.Event()

    def listen(event: RunEvent) -> None:
        if event.kind == "started":
            stop.set()

    began = time.monotonic()
    with pytest.raises(Stopped):
        run_jobs(
            tmp_path, Settings(), [job(name, "test_waits", 200.0) for name in "ab"], workers=2, stop=stop,
            on_event=listen,
        )  # fmt: skip
    assert time.monotonic() - began < 30


def test_failing_listener_ends_every_process(tmp_path: Path) -> None:
    write(tmp_path, a=PASSES, b="import time\ndef test_waits(): time.sleep(100)\n")

    def listen(event: RunEvent) -> None:
        raise KeyboardInterrupt

    jobs = [job("a", "test_first"), job("b", "test_waits", 200.0)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(KeyboardInterrupt):
        run_jobs(tmp_path, Settings(), jobs, workers=2, on_event=listen)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
