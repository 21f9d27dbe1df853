"""Contracts out of the cache are what their files say, whatever happened to the cache."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pv.errors import EvidenceError
from pv.lint import cache
from pv.lint.cache import ContractMemory
from pv.load import Loaded, load_text
from support.contract_text import VALID, after

TEXTS = [VALID.encode(), VALID.replace("RMS norm", "another").encode(), VALID.replace("RMS norm", "third").encode()]


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def read(root: Path, *texts: bytes) -> list[Loaded]:
    memory = ContractMemory(root)
    loaded = [load_text(text, "contracts/a.yaml", memory) for text in texts]
    memory.save()
    return loaded


def facts(loaded: Loaded) -> tuple[object, ...]:
    return loaded.contract, loaded.findings, loaded.text, loaded.id, loaded.data, loaded.locations[("falsifiers", 0)]


def file(root: Path) -> Path:
    return root / ".pv-cache/contracts"


def parsed(monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> int:
    """How many files `run` parses."""
    real, count = load_text.__globals__["load_model"], []
    with monkeypatch.context() as patch:
        patch.setattr("pv.load.load_model", lambda *args: (count.append(1), real(*args))[1])
        run()
    return len(count)


@pytest.mark.parametrize(
    "text",
    [VALID.encode(), b"\xef\xbb\xbf" + VALID.encode(), after("extra: 1\n"), after("- x\n"), b"", b"\xff", b"- a"],
    ids=["clean", "with a mark", "unknown key", "not YAML", "empty", "not UTF-8", "a list"],
)
def test_a_second_reading_says_the_same(tmp_path, text):
    expected = facts(load_text(text, "contracts/a.yaml"))
    assert [facts(item) for item in read(tmp_path, text)] == [expected]
    assert [facts(item) for item in read(tmp_path, text)] == [expected]


def test_a_second_reading_parses_what_changed(tmp_path, monkeypatch):
    read(tmp_path, *TEXTS[:2])
    assert parsed(monkeypatch, lambda: read(tmp_path, *TEXTS)) == 1
    assert parsed(monkeypatch, lambda: read(tmp_path, *TEXTS)) == 0


def test_types_are_checked_again(tmp_path):
    """What an entry says is no contract until the schema says so."""
    memory = ContractMemory(tmp_path)
    read(tmp_path, VALID.encode())
    memory.get = lambda _sha256: {"id": "rms-norm"}  # type: ignore[method-assign]
    assert load_text(VALID.encode(), "a.yaml", memory).contract == load_text(VALID.encode(), "a.yaml").contract


def test_files_that_are_gone_are_forgotten(tmp_path):
    read(tmp_path, TEXTS[0], TEXTS[1])
    both = file(tmp_path).stat().st_size
    read(tmp_path, TEXTS[1])
    assert file(tmp_path).stat().st_size < 0.6 * both


def test_nothing_is_written_when_nothing_changed(tmp_path):
    read(tmp_path, *TEXTS)
    before = file(tmp_path).stat().st_ino
    read(tmp_path, *reversed(TEXTS), TEXTS[0])
    assert file(tmp_path).stat().st_ino == before


def deleted(root: Path, _patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(root / ".pv-cache")


def empty(root: Path, _patch: pytest.MonkeyPatch) -> None:
    file(root).write_bytes(b"")


def other_version(_root: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cache, "code_digest", lambda: "0" * 64)


def other_file(root: Path, _patch: pytest.MonkeyPatch) -> None:
    cache.remember(root, "x", ["not contracts"])
    (root / ".pv-cache/x").rename(file(root))


def read_only(root: Path, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise EvidenceError("read-only file system")

    deleted(root, patch)
    patch.setattr(cache, "write_atomically", refuse)


def a_folder(root: Path, patch: pytest.MonkeyPatch) -> None:
    deleted(root, patch)
    file(root).mkdir(parents=True)


@pytest.mark.parametrize("damage", [deleted, empty, other_version, other_file, read_only, a_folder])
def test_without_a_cache_everything_is_parsed(tmp_path, monkeypatch, damage):
    expected = [facts(item) for item in read(tmp_path, *TEXTS)]
    damage(tmp_path, monkeypatch)
    seen: list[object] = []
    assert parsed(monkeypatch, lambda: seen.extend(facts(item) for item in read(tmp_path, *TEXTS))) == len(TEXTS)
    assert seen == expected


def test_a_cut_or_changed_cache_changes_nothing(tmp_path):
    """64 lengths, and a flipped bit at 64 places."""
    expected = [facts(item) for item in read(tmp_path, *TEXTS)]
    whole = file(tmp_path).read_bytes()
    for place in range(0, len(whole), len(whole) // 64):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        for damaged in (whole[:place], bytes(changed)):
            file(tmp_path).write_bytes(damaged)
            memory = ContractMemory(tmp_path)
            assert [facts(load_text(text, "contracts/a.yaml", memory)) for text in TEXTS] == expected


def test_a_cache_that_goes_away_meanwhile(tmp_path):
    expected = [facts(item) for item in read(tmp_path, *TEXTS)]
    memory = ContractMemory(tmp_path)
    shutil.rmtree(tmp_path / ".pv-cache")
    assert [facts(load_text(text, "contracts/a.yaml", memory)) for text in TEXTS] == expected
    memory.save()


def test_two_runs_at_once_leave_a_cache_of_one_of_them(tmp_path, monkeypatch):
    first, second = ContractMemory(tmp_path), ContractMemory(tmp_path)
    load_text(TEXTS[0], "contracts/a.yaml", first)
    load_text(TEXTS[1], "contracts/a.yaml", second)
    first.save()
    second.save()
    assert parsed(monkeypatch, lambda: read(tmp_path, *TEXTS[:2])) == 1
