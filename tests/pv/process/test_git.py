"""Reading from git, and what an adversary's repository or ref cannot make it do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pv.errors import UsageError
from pv.process.git import Git
from support.history import commit_all


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts/a.yaml").write_text("one\n")
    return tmp_path


def test_files_and_their_versions(root):
    first = commit_all(root, "2020-01-01T00:00:00Z")
    (root / "contracts/a.yaml").write_text("two\n")
    (root / "contracts/n\u00e4me b.yaml").write_text("b\n")
    second = commit_all(root, "2020-01-02T00:00:00Z")
    (root / "contracts/a.yaml").unlink()
    commit_all(root, "2020-01-03T00:00:00Z")
    git = Git(root)
    assert git.commit("HEAD~2") == first
    assert git.commit(second[:12]) == second
    assert list(git.files(second, "contracts")) == ["contracts/a.yaml", "contracts/n\u00e4me b.yaml"]
    found = [(item.time, item.commit, item.path, bool(item.blob)) for item in git.revisions(["contracts"])]
    day = 86400
    start = 1577836800  # date -d 2020-01-01T00:00:00Z +%s
    assert found[1:] == [
        (start + day, second, "contracts/a.yaml", True),
        (start + day, second, "contracts/n\u00e4me b.yaml", True),
        (start, first, "contracts/a.yaml", True),
    ]
    assert found[0][2:] == ("contracts/a.yaml", False)
    blobs = list(git.files(second, "contracts").values())
    assert [text for _, text in git.read([*blobs, "0" * 40])] == [b"two\n", b"b\n", None]


def test_paths_are_relative_to_the_project_below_the_repository(root):
    commit_all(root)
    inner = Git(root / "contracts")
    assert list(inner.files(inner.commit("HEAD"), ".")) == ["a.yaml"]
    assert [item.path for item in inner.revisions(["."])] == ["a.yaml"]


@pytest.mark.parametrize(
    "ref",
    ["", "-h", "--output=x", "nope", "HEAD~99", "HEAD:contracts", "HEAD HEAD", "a\nb", "HEAD^{tree}", "@{upstream}"],
)
def test_a_ref_that_is_no_commit_is_refused(root, ref):
    commit_all(root)
    with pytest.raises(UsageError):
        Git(root).commit(ref)
    assert not (root / "x").exists()


def test_without_a_repository_the_reason_is_given(tmp_path):
    assert "not a git repository" in Git(tmp_path).why_absent()
    with pytest.raises(UsageError, match=r"^git knows no commit 'HEAD'|not a git repository"):
        Git(tmp_path).commit("HEAD")


def test_without_git_the_reason_is_given(root, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Git(root).why_absent() == "git is not installed, and old versions are read from it"


def test_programs_that_a_repository_names_are_not_run(root):
    commit_all(root)
    marker = root / "ran"
    program = root / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "pager.log", "gpg.program", "diff.external", "core.sshCommand"):
        subprocess.run(["git", "config", key, str(program)], cwd=root, check=True)
    subprocess.run(["git", "config", "log.showSignature", "true"], cwd=root, check=True)
    git = Git(root)
    assert git.revisions(["contracts"])
    assert git.files(git.commit("HEAD"), "contracts")
    assert not marker.exists()


def test_a_replaced_object_is_not_followed(root):
    first = commit_all(root, "2020-01-01T00:00:00Z")
    (root / "contracts/a.yaml").write_text("two\n")
    second = commit_all(root, "2021-01-01T00:00:00Z")
    subprocess.run(["git", "replace", second, first], cwd=root, check=True)
    git = Git(root)
    ((_, text),) = git.read(git.files(git.commit("HEAD"), "contracts").values())
    assert text == b"two\n"


def test_another_repository_in_the_environment_is_not_looked_at(root, tmp_path_factory, monkeypatch):
    commit_all(root)
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert Git(root).why_absent() == ""
