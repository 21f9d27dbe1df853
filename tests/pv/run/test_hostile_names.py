"""Hostile names of tests: an error for each, and nothing of the project, or of anything else, is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.bind.collect import collect
from pv.errors import UsageError
from pv.run.child import run_jobs
from pv.schema.run import Job
from pv.schema.settings import Settings
from pv.schema.verdict import Result
from support.hostile_names import HOSTILE, NAMES

LINKS = ("linked_file.py::test_x", "linked_folder/test_a.py::test_x", "linked_root/etc/test_a.py::test_x")
"""They lead out of the project."""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def root(tmp_path: Path, canary: Path) -> Path:
    """A project in which whatever is loaded, inside or beside it, leaves the canary."""
    leaves = f"open({str(canary)!r}, 'w')\ndef test_x(): pass\n"
    root = tmp_path / "project"
    for folder in (tmp_path, root, root / "a"):
        folder.mkdir(exist_ok=True)
        for name in ("test_a.py", "conftest.py", "evil.py", "test_\u0430.txt"):
            (folder / name).write_text(leaves)
        (folder / "evil.ini").write_text("[pytest]\naddopts = -pevil\n")
        (folder / "arguments").write_text("-pevil\ntest_a.py\n")
    (root / "linked_file.py").symlink_to(tmp_path / "test_a.py")
    (root / "linked_folder").symlink_to(tmp_path)
    (root / "linked_root").symlink_to("/")
    return root


def job(nodeid: str) -> Job:
    return Job("F", "c", (nodeid,), "cpu", 20.0)


def test_canary_appears_when_something_runs(root: Path, canary: Path) -> None:
    [outcome] = run_jobs(root, Settings(), [job("test_a.py::test_x")])
    assert outcome.result is Result.PASS
    assert canary.exists()


def test_there_are_enough_of_every_kind() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60
    assert all(len(names) >= 3 for names in HOSTILE.values())


@pytest.mark.parametrize("workers", [1, 3])
def test_no_hostile_name_runs_anything(
    workers: int, root: Path, canary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (*NAMES, *LINKS):
        with pytest.raises(UsageError) as refused:
            # One good name beside it: nothing of the whole call runs.
            run_jobs(root, Settings(), [job("test_a.py::test_x"), job(name)], workers=workers)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 500
    assert not canary.exists()
    assert capfd.readouterr() == ("", "")


def test_no_hostile_path_is_collected(root: Path, canary: Path) -> None:
    """Collection gets the part before the colons; the names that have a good one there are refused when they run."""
    good = {"test_a.py", ".", "./test_a.py", "././test_a.py"}
    paths = {name.split("::", 1)[0] for name in (*NAMES, *LINKS)} - good
    assert len(paths) >= 60
    found = collect(root, Settings(), sorted(paths))
    assert {problem.path for problem in found.problems} == paths
    assert found.tests == ()
    assert not canary.exists()
