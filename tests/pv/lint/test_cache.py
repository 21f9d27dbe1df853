"""The cache saves time and changes no result, whatever stands in its folder."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pv.errors import EvidenceError
from pv.lint import cache
from pv.lint.cache import recall, remember

VALUES = [{"key": ["text", 1, None]}, "line\nbreak", []]


def kept(root: Path, name: str) -> list[Any] | None:
    values = recall(root, name)
    return None if values is None else list(values)


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    remember(tmp_path, "x", VALUES)
    return tmp_path / ".pv-cache/x"


def test_what_was_kept_comes_back(file):
    assert kept(file.parents[1], "x") == VALUES


def test_nothing_was_kept(tmp_path):
    assert kept(tmp_path, "x") is None


def test_git_ignores_the_folder(file):
    assert (file.parent / ".gitignore").read_text() == "*\n"


def test_every_cut_is_noticed(file):
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert kept(file.parents[1], "x") is None, size


def test_a_flipped_bit_in_any_byte_is_noticed(file):
    whole = file.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert kept(file.parents[1], "x") is None, place


def test_another_version_of_pv(file, monkeypatch):
    monkeypatch.setattr(cache, "code_digest", lambda: "0" * 64)
    assert kept(file.parents[1], "x") is None


def test_another_users_file(file, monkeypatch, tmp_path):
    """A cache that comes with a patch was sealed with somebody else's key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other home"))
    remember(tmp_path / "elsewhere", "x", VALUES)
    assert kept(file.parents[1], "x") is None


def test_another_name(file):
    file.rename(file.with_name("y"))
    assert kept(file.parents[1], "y") is None


def test_key_that_others_can_read(file, tmp_path):
    (tmp_path / "home/pv/cache-key").chmod(0o644)
    assert kept(file.parents[1], "x") is None


def test_empty_key(file, tmp_path):
    (tmp_path / "home/pv/cache-key").write_bytes(b"")
    assert kept(file.parents[1], "x") is None


def test_only_the_user_can_read_the_key(file, tmp_path):
    assert (tmp_path / "home/pv/cache-key").stat().st_mode & 0o777 == 0o600


def a_file(root: Path) -> None:
    (root / ".pv-cache").write_text("a file where the folder should be")


def a_folder(root: Path) -> None:
    (root / ".pv-cache/x").mkdir(parents=True)


def no_home(root: Path) -> None:
    (root / "home").write_text("a file where the folder should be")


@pytest.mark.parametrize("obstacle", [a_file, a_folder, no_home])
def test_what_cannot_be_written_is_not_kept(tmp_path, obstacle: Callable[[Path], None]):
    obstacle(tmp_path)
    remember(tmp_path, "x", VALUES)
    assert kept(tmp_path, "x") is None


def test_read_only_project(tmp_path, monkeypatch):
    def refuse(*_args: object) -> None:
        raise EvidenceError("read-only file system")

    monkeypatch.setattr(cache, "write_atomically", refuse)
    remember(tmp_path, "x", VALUES)
    assert kept(tmp_path, "x") is None


def test_the_body_is_a_line_of_json_for_each_value(file):
    assert [json.loads(line) for line in file.read_bytes().splitlines()[1:]] == VALUES


def test_two_processes_write_at_once(tmp_path):
    """Each reader sees all of what one of them wrote."""
    writers = [multiprocessing.get_context("fork").Process(target=_write, args=(tmp_path, n)) for n in range(2)]
    for writer in writers:
        writer.start()
    seen = []
    while any(writer.is_alive() for writer in writers):
        seen.append(kept(tmp_path, "x"))
    seen.append(kept(tmp_path, "x"))
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen[-1] is not None
    assert all(values in (None, [0] * 5000, [1] * 5000) for values in seen)
    assert {path.name for path in (tmp_path / ".pv-cache").iterdir()} == {"x", ".gitignore"}


def _write(root: Path, number: int) -> None:
    for _ in range(10):
        remember(root, "x", [number] * 5000)
