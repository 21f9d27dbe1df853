"""Large files are hashed once, and again whenever anything about them looks different."""

import hashlib
import os

import pytest

from pv.evidence import digests
from pv.evidence.digests import Digests


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A large file that was last changed an hour ago."""
    monkeypatch.setattr(digests, "LARGE_BYTES", 100)
    path = tmp_path / "model.gguf"
    path.write_bytes(b"w" * 1000)
    age(path, 3600)
    return path


def age(path, seconds):
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - seconds * 10**9))


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files that are read to the end."""
    names = []
    real = hashlib.file_digest

    def spy(file, algorithm):
        names.append(os.path.basename(file.name))  # noqa: PTH119
        return real(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", spy)
    return names


def expected(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_second_time_nothing_is_read(model, hashed):
    assert Digests(model.parent).sha256(model) == expected(model)
    assert Digests(model.parent).sha256(model) == expected(model)
    assert hashed == ["model.gguf"]


def test_a_changed_byte_is_seen(model):
    Digests(model.parent).sha256(model)
    model.write_bytes(b"w" * 999 + b"x")
    assert Digests(model.parent).sha256(model) == expected(model)


def test_a_changed_byte_behind_an_old_time_is_seen(model):
    """`touch -d` can set the time of change back, but not the time of the inode's change."""
    before = model.stat()
    Digests(model.parent).sha256(model)
    model.write_bytes(b"w" * 999 + b"x")
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert model.stat().st_mtime_ns == before.st_mtime_ns
    assert Digests(model.parent).sha256(model) == expected(model)


def test_another_file_of_the_same_size_and_time_is_seen(model):
    Digests(model.parent).sha256(model)
    other = model.with_name("other")
    other.write_bytes(b"v" * 1000)
    os.utime(other, ns=(model.stat().st_atime_ns, model.stat().st_mtime_ns))
    other.replace(model)
    assert Digests(model.parent).sha256(model) == expected(model)


def lie(model):
    """Somebody writes another digest into the cache."""
    cache = model.parent / ".pv-cache/digests.json"
    cache.write_text(cache.read_text().replace(expected(model), "0" * 64))


def test_strict_believes_nothing_and_corrects_the_cache(model, hashed):
    Digests(model.parent).sha256(model)
    lie(model)
    assert Digests(model.parent).sha256(model) == "0" * 64
    assert Digests(model.parent, strict=True).sha256(model) == expected(model)
    assert Digests(model.parent).sha256(model) == expected(model)


def test_a_wrong_entry_is_named(model):
    Digests(model.parent).sha256(model)
    assert list(Digests(model.parent).wrong()) == []
    lie(model)
    assert list(Digests(model.parent).wrong()) == [("model.gguf", expected(model))]


def test_a_file_that_has_just_changed_is_not_remembered(model, hashed):
    model.write_bytes(b"x" * 1000)
    for _ in range(2):
        Digests(model.parent).sha256(model)
    assert hashed == ["model.gguf"] * 2


def test_small_files_are_not_remembered(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    Digests(tmp_path).sha256(tmp_path / "a.py")
    assert not (tmp_path / ".pv-cache").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model.gguf": 1}', '{"model.gguf": ["a", 1, 2, 3, 4, "x"]}'])
def test_a_damaged_cache_is_no_cache(model, text):
    (model.parent / ".pv-cache").mkdir()
    (model.parent / ".pv-cache/digests.json").write_text(text)
    assert Digests(model.parent).sha256(model) == expected(model)


def test_a_cache_that_cannot_be_written_costs_nothing_else(model):
    (model.parent / ".pv-cache").write_text("a file where the folder should be")
    assert Digests(model.parent).sha256(model) == expected(model)
