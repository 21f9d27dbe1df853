"""An earlier collection is taken only while everything that it could depend on is the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pv.config import load_settings
from pv.process.tree import tree_digest
from pv.schema.binding import CollectedTest, Collection, CollectionProblem
from pv.workflow import collected as module
from pv.workflow.collected import collected
from support.project import TEST, write_project


class Project:
    """Counts how often pytest is asked, and answers in its place."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = write_project(root)
        self.runs = 0
        self.problems: tuple[CollectionProblem, ...] = ()
        self.module = root.parent / "installed.py"
        self.module.write_text("")
        monkeypatch.setattr(module, "collect", self.collect)

    def collect(self, *_args: object) -> Collection:
        self.runs += 1
        status = self.module.stat()
        test = CollectedTest("checks/test_double.py::test_double", "checks/test_double.py", 6, ("FALSIFY-DOUBLE-001",))
        return Collection((test,), self.problems, imported=((str(self.module), status.st_size, status.st_mtime_ns),))

    def ask(self, *, cached: bool = True) -> Collection:
        root, settings = load_settings(self.root)
        return collected(root, settings, ["checks"], cached=cached)


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    return Project(tmp_path / "project", monkeypatch)


def test_what_pytest_says_is_kept(tmp_path):
    root, settings = load_settings(write_project(tmp_path / "project"))
    first = collected(root, settings, ["checks"], cached=True)
    assert any(path.endswith("/pytest/__init__.py") for path, _, _ in first.imported)
    assert collected(root, settings, ["checks"], cached=True) == first


def test_same_answer_without_pytest(project):
    first = project.ask()
    assert project.ask() == first
    assert project.runs == 1


def test_without_cache_pytest_is_asked(project):
    project.ask()
    project.ask(cached=False)
    assert project.runs == 2


def add_test(project: Project, _patch: pytest.MonkeyPatch) -> None:
    path = project.root / "checks/test_double.py"
    path.write_text(TEST + "\n\ndef test_more():\n    assert path\n")


def add_data(project: Project, _patch: pytest.MonkeyPatch) -> None:
    (project.root / "checks/cases.txt").write_text("1\n")


def change_helper(project: Project, _patch: pytest.MonkeyPatch) -> None:
    (project.root / "lib/double.py").write_text("def double(x):\n    return x + x\n")


def change_contract(project: Project, _patch: pytest.MonkeyPatch) -> None:
    with (project.root / "contracts/doubling-v1.yaml").open("a") as file:
        file.write("# a test may read it\n")


def change_environment(_project: Project, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("CUDA_VISIBLE_DEVICES", "3")


def change_settings(project: Project, _patch: pytest.MonkeyPatch) -> None:
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace("[tool.pv]\n", '[tool.pv]\nimport-mode = "importlib"\n'))


def damage(project: Project, _patch: pytest.MonkeyPatch) -> None:
    path = project.root / ".pv-cache/collection"
    path.write_bytes(path.read_bytes().replace(b"test_double", b"test_dauble"))


@pytest.mark.parametrize(
    "change", [add_test, add_data, change_helper, change_contract, change_environment, change_settings, damage]
)
def test_a_change_asks_pytest_again(project, monkeypatch, change):
    project.ask()
    change(project, monkeypatch)
    project.ask()
    assert project.runs == 2


def test_a_changed_module_outside_the_project_asks_again(project):
    project.ask()
    project.module.write_text("# changed\n")
    project.ask()
    assert project.runs == 2


def test_a_removed_module_outside_the_project_asks_again(project, monkeypatch):
    project.ask()
    project.module.rename(project.module.with_name("gone.py"))
    monkeypatch.setattr(project, "module", project.module.with_name("gone.py"))
    project.ask()
    assert project.runs == 2


def test_a_collection_with_a_problem_is_not_kept(project):
    project.problems = (CollectionProblem("checks/test_double.py", "did not finish within the limit"),)
    project.ask()
    project.ask()
    assert project.runs == 2


def test_a_project_that_changes_meanwhile_is_not_kept(project, monkeypatch):
    """The answer may be about the state before or after the change."""

    def changing(*args: object) -> Collection:
        (project.root / "written").write_text("1")
        return project.collect(*args)

    monkeypatch.setattr(module, "collect", changing)
    project.ask()
    (project.root / "written").unlink()
    project.ask()
    assert project.runs == 2


def test_tree_digest_sees_names_contents_and_links(tmp_path):
    seen = {tree_digest(tmp_path)}
    for step in (
        lambda: (tmp_path / "a").write_text("1"),
        lambda: (tmp_path / "a").write_text("2"),
        lambda: (tmp_path / "a").rename(tmp_path / "b"),
        lambda: (tmp_path / "nowhere").symlink_to("missing"),
        lambda: (tmp_path / "large").write_bytes(bytes(2 << 20)),
        lambda: (tmp_path / "large").write_bytes(b"1" + bytes((2 << 20) - 1)),
        lambda: os.mkfifo(tmp_path / "pipe"),
    ):
        step()
        seen.add(tree_digest(tmp_path))
    assert len(seen) == 8


def test_tree_digest_leaves_out_what_tools_write(tmp_path):
    before = tree_digest(tmp_path)
    for name in (".git", "__pycache__", ".mypy_cache", ".pv-cache", "venv"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    (tmp_path / "venv/pyvenv.cfg").write_text("")
    assert tree_digest(tmp_path) == before
