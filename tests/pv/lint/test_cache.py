"""The cache saves time and changes no result, whatever stands in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pv.errors import EvidenceError
from pv.lint import cache
from pv.lint.cache import ContractMemory, recall, remember
from pv.load import load_text
from support.contract_text import VALID, after

VALUE = {"key": ["text", 1, None]}


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    remember(tmp_path, "x.json", VALUE)
    return tmp_path / ".pv-cache/x.json"


def test_what_was_kept_comes_back(file):
    assert recall(file.parents[1], "x.json") == VALUE


def test_nothing_was_kept(tmp_path):
    assert recall(tmp_path, "x.json") is None


def test_git_ignores_the_folder(file):
    assert (file.parent / ".gitignore").read_text() == "*\n"


def test_every_cut_is_noticed(file):
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert recall(file.parents[1], "x.json") is None, size


def test_a_flipped_bit_in_any_byte_is_noticed(file):
    whole = file.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert recall(file.parents[1], "x.json") is None, place


def test_another_version_of_pv(file, monkeypatch):
    monkeypatch.setattr(cache, "code_digest", lambda: "0" * 64)
    assert recall(file.parents[1], "x.json") is None


def test_another_users_file(file, monkeypatch, tmp_path):
    """A cache that comes with a patch was sealed with somebody else's key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other home"))
    remember(tmp_path / "elsewhere", "x.json", VALUE)
    assert recall(file.parents[1], "x.json") is None


def test_another_name(file):
    file.rename(file.with_name("y.json"))
    assert recall(file.parents[1], "y.json") is None


def test_key_that_others_can_read(file, tmp_path):
    (tmp_path / "home/pv/cache-key").chmod(0o644)
    assert recall(file.parents[1], "x.json") is None


def test_empty_key(file, tmp_path):
    (tmp_path / "home/pv/cache-key").write_bytes(b"")
    assert recall(file.parents[1], "x.json") is None


def test_only_the_user_can_read_the_key(file, tmp_path):
    assert (tmp_path / "home/pv/cache-key").stat().st_mode & 0o777 == 0o600


def a_file(root: Path) -> None:
    (root / ".pv-cache").write_text("a file where the folder should be")


def a_folder(root: Path) -> None:
    (root / ".pv-cache/x.json").mkdir(parents=True)


def no_home(root: Path) -> None:
    (root / "home").write_text("a file where the folder should be")


@pytest.mark.parametrize("obstacle", [a_file, a_folder, no_home])
def test_what_cannot_be_written_is_not_kept(tmp_path, obstacle: Callable[[Path], None]):
    obstacle(tmp_path)
    remember(tmp_path, "x.json", VALUE)
    assert recall(tmp_path, "x.json") is None


def test_read_only_project(tmp_path, monkeypatch):
    def refuse(*_args: object) -> None:
        raise EvidenceError("read-only file system")

    monkeypatch.setattr(cache, "write_atomically", refuse)
    remember(tmp_path, "x.json", VALUE)
    assert recall(tmp_path, "x.json") is None


def read(root: Path, text: bytes) -> tuple[object, ...]:
    memory = ContractMemory(root)
    loaded = load_text(text, "contracts/a.yaml", memory)
    memory.save()
    return loaded.contract, loaded.findings, loaded.text, loaded.id, loaded.data, loaded.locations[("falsifiers", 0)]


@pytest.mark.parametrize(
    "text",
    [VALID.encode(), b"\xef\xbb\xbf" + VALID.encode(), after("extra: 1\n"), after("- x\n"), b"", b"\xff", b"- a"],
    ids=["clean", "with a mark", "unknown key", "not YAML", "empty", "not UTF-8", "a list"],
)
def test_a_second_reading_says_the_same(tmp_path, text):
    alone = load_text(text, "contracts/a.yaml")
    expected = alone.contract, alone.findings, alone.text, alone.id, alone.data, alone.locations[("falsifiers", 0)]
    assert read(tmp_path, text) == expected
    assert read(tmp_path, text) == expected


def test_a_second_reading_parses_nothing(tmp_path, monkeypatch):
    read(tmp_path, VALID.encode())
    monkeypatch.setattr("pv.load.load_model", lambda *_args: pytest.fail("parsed again"))
    memory = ContractMemory(tmp_path)
    assert load_text(VALID.encode(), "a.yaml", memory).contract is not None


def test_types_are_checked_again(tmp_path):
    """What an entry says is no contract until the schema says so."""
    memory = ContractMemory(tmp_path)
    read(tmp_path, VALID.encode())
    memory.get = lambda _sha256: {"id": "rms-norm"}  # type: ignore[method-assign]
    assert load_text(VALID.encode(), "a.yaml", memory).contract == load_text(VALID.encode(), "a.yaml").contract


def test_files_that_are_gone_are_forgotten(tmp_path):
    read(tmp_path, VALID.encode())
    read(tmp_path, VALID.replace("RMS norm", "another").encode())
    found = recall(tmp_path, "contracts.json")
    assert isinstance(found, dict)
    assert len(found) == 1


def test_the_body_is_json(file):
    assert json.loads(file.read_bytes().partition(b"\n")[2]) == VALUE
