"""Collection is pytest's own, in a child that may break."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.bind.collect import collect
from pv.schema.binding import Collection, CollectionProblem
from pv.schema.settings import Settings

TESTS = """
import pytest

pytestmark = pytest.mark.falsifies("FROM-MODULE")

@pytest.mark.falsifies("A", "B")
@pytest.mark.parametrize("x", [1, 2])
def test_two(x):
    assert x

@pytest.mark.skip(reason="later")
def test_skipped():
    assert False

@pytest.mark.skipif("sys.platform == 'win32'", reason="not there")
def test_skipped_somewhere():
    assert True

@pytest.mark.xfail
def test_expected():
    assert False

@pytest.mark.falsifies("FROM-CLASS")
class TestGroup:
    @pytest.mark.falsifies("FROM-METHOD")
    def test_method(self):
        assert True
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "falsifiers").mkdir()
    (tmp_path / "falsifiers" / "test_a.py").write_text(TESTS)
    return tmp_path


def get(root: Path, *paths: str) -> Collection:
    return collect(root, Settings(), paths)


def test_ids_marks_and_lines_are_exact(root: Path) -> None:
    got = {test.nodeid.partition("::")[2]: test for test in get(root, "falsifiers").tests}
    assert list(got) == [
        "test_two[1]",
        "test_two[2]",
        "test_skipped",
        "test_skipped_somewhere",
        "test_expected",
        "TestGroup::test_method",
    ]
    assert got["test_two[1]"].path == "falsifiers/test_a.py"
    assert got["test_two[1]"].falsifies == ("A", "B", "FROM-MODULE")
    assert got["test_two[1]"].line == 8
    assert got["TestGroup::test_method"].falsifies == ("FROM-METHOD", "FROM-CLASS", "FROM-MODULE")
    assert got["test_skipped"].unconditional_skip == "later"
    assert got["test_skipped_somewhere"].unconditional_skip is None
    assert [name for name, test in got.items() if test.xfail] == ["test_expected"]


def test_binding_without_parameters_is_all_of_them(root: Path) -> None:
    collection = get(root, "falsifiers/test_a.py")
    assert len(collection.bound_to("falsifiers/test_a.py::test_two")) == 2
    assert len(collection.bound_to("falsifiers/test_a.py::test_two[2]")) == 1
    assert collection.bound_to("falsifiers/test_a.py::test_t") == ()


def test_folder_and_file_in_it_are_collected_once(root: Path) -> None:
    assert len(get(root, "falsifiers", "falsifiers/test_a.py", "falsifiers/").tests) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import a_module_that_nobody_has\n", "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
        ("def test_x(:\n", "SyntaxError: invalid syntax"),
        ("import pytest\npytest.skip('no gpu', allow_module_level=True)\n", "skips itself: no gpu"),
        ("import os\nos._exit(0)\n", "collection exited with status 0"),
        ("import os\nos.abort()\n", "collection died of SIGABRT"),
        ("import sys\nsys.exit(0)\n", "collection exited with status 3"),
        ("import time\ntime.sleep(600)\n", "collection did not finish within the limit"),
    ],
    ids=["import error", "syntax error", "skip", "exit", "crash", "sys.exit", "hang"],
)
def test_broken_file_is_a_problem_and_the_others_are_collected(text: str, message: str, root: Path) -> None:
    (root / "falsifiers" / "test_0_broken.py").write_text(text)
    collection = collect(root, Settings(), ["falsifiers"], file_limit_s=1.5)
    assert len(collection.tests) == 6
    [problem] = collection.problems
    assert problem.path == "falsifiers/test_0_broken.py"
    assert problem.message.startswith(message)
    assert "\n" not in problem.message
    assert str(root) not in problem.message


def test_broken_conftest_is_a_problem(root: Path) -> None:
    (root / "conftest.py").write_text("raise RuntimeError('broken conftest')\n")
    collection = get(root, "falsifiers")
    assert collection.tests == ()
    [problem] = collection.problems
    assert "broken conftest" in problem.message


def test_path_that_cannot_be_collected_is_a_problem(root: Path) -> None:
    collection = get(root, "gone", "-p evil", "../elsewhere", "@file")
    assert [problem.path for problem in collection.problems] == ["gone", "-p evil", "../elsewhere", "@file"]
    assert collection.problems[0] == CollectionProblem("gone", "'gone': no such file")
    assert collection.tests == ()


def test_nothing_is_run(root: Path) -> None:
    (root / "test_b.py").write_text("from pathlib import Path\ndef test_x(): Path('ran').touch()\n")
    assert len(get(root, "test_b.py").tests) == 1
    assert not (root / "ran").exists()


def test_shadowed_tests_are_found(root: Path) -> None:
    (root / "test_b.py").write_text(
        "def test_x(): assert 1\n\n\ndef test_x(): assert 2\n\n\n"
        "class TestA:\n    def test_y(self): assert 1\n    def test_y(self): assert 2\n"
    )
    assert get(root, "test_b.py").shadowed == (("test_b.py::test_x", 1), ("test_b.py::TestA::test_y", 8))
