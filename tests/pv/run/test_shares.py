"""Jobs over several children: files whole, order kept, and the same verdicts as one child gives."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest

from pv.process.supervise import Stopped
from pv.run.child import RunEvent, run_jobs
from pv.run.shares import shares
from pv.schema.run import Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import Result


def job(path: str, name: str, timeout_s: float = 20.0) -> Job:
    return Job(f"F-{path}-{name}", "c", (f"{path}.py::{name}",), "cpu", timeout_s)


JOBS = [job(path, name, limit) for path, name, limit in zip("abacbdaa", "stuvwxyz", itertools.count(1), strict=False)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 4, 9])
def test_every_job_is_in_one_share_and_files_stay_whole(workers: int) -> None:
    divided = shares(list(enumerate(JOBS)), workers)
    assert len(divided) == max(1, min(workers, 4))
    assert sorted(index for share in divided for index, _ in share) == list(range(len(JOBS)))
    for share in divided:
        assert [index for index, _ in share] == sorted(index for index, _ in share)
    homes = [{id(share) for share in divided for _, item in share if item.nodeids[0][0] == path} for path in "abcd"]
    assert [len(home) for home in homes] == [1, 1, 1, 1]


def test_largest_file_has_a_share_of_its_own() -> None:
    """Limits: a 1 + 3 + 7 + 8, b 2 + 5, d 6, c 4."""
    divided = shares(list(enumerate(JOBS)), 2)
    assert [{item.nodeids[0][0] for _, item in share} for share in divided] == [{"a"}, {"b", "c", "d"}]


TESTS = {
    "a": "def test_passes(): assert 1\ndef test_fails(): assert 0\ndef test_after(): assert 1\n",
    "b": "import os\ndef test_dies(): os.abort()\ndef test_passes(): assert 1\n",
    "c": "import pytest\ndef test_skips(): pytest.skip('no')\ndef test_raises(): raise KeyError('x')\n",
    "d": "raise RuntimeError('at import')\ndef test_passes(): assert 1\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in TESTS.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def test_workers_change_no_result(root: Path) -> None:
    jobs = [
        job(path, name)
        for path, name in (
            ("c", "test_skips"), ("a", "test_passes"), ("b", "test_dies"), ("a", "test_fails"), ("d", "test_passes"),
            ("b", "test_passes"), ("c", "test_raises"), ("a", "test_after"), ("a", "test_gone"),
        )
    ]  # fmt: skip
    said: list[tuple[str, str]] = []

    def listen(event: RunEvent) -> None:
        if event.kind == "judged":
            said.append((event.job.falsifier, str(event.outcome and event.outcome.result)))

    def seen(outcomes: list[Outcome]) -> list[tuple[Job, Result, str, int, int]]:
        return [(item.job, item.result, item.reason, item.tests_begun, item.tests_passed) for item in outcomes]

    alone = seen(run_jobs(root, Settings(), jobs))
    together = seen(run_jobs(root, Settings(), jobs, workers=3, on_event=listen))
    assert together == alone
    assert {result for _, result, *_ in alone} == {
        Result.PASS, Result.FAIL, Result.CRASH, Result.SKIPPED, Result.ERROR,
    }  # fmt: skip
    assert sorted(said) == sorted((item.falsifier, str(result)) for item, result, *_ in together)


def test_interrupt_ends_every_child(root: Path) -> None:
    for name in "ab":
        (root / f"{name}.py").write_text("import time\ndef test_first(): pass\ndef test_waits(): time.sleep(100)\n")
    jobs = [job(path, name, 200.0) for path in "ab" for name in ("test_first", "test_waits")]
    stop = threading.Event()
    began = time.monotonic()
    timer = threading.Timer(1.5, stop.set)
    timer.start()
    with pytest.raises(Stopped):
        run_jobs(root, Settings(), jobs, workers=2, stop=stop)
    assert time.monotonic() - began < 20


def test_failing_listener_ends_every_child(root: Path) -> None:
    (root / "b.py").write_text("import time\ndef test_waits(): time.sleep(100)\n")

    def listen(event: RunEvent) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_jobs(root, Settings(), [job("a", "test_passes"), job("b", "test_waits", 200.0)], workers=2, on_event=listen)
    assert time.monotonic() - began < 20
