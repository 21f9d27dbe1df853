import errno
import os
import threading

import pytest

from pv.atomic import append_line, in_parallel, locked, write_atomically
from pv.errors import EvidenceError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("operation", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_at_any_operation_leaves_the_old_file(tmp_path, monkeypatch, operation, code):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("pathlib.Path.replace" if operation == "replace" else f"os.{operation}", fail)
    with pytest.raises(EvidenceError, match=os.strerror(code)):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_half_an_appended_line_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "log"
    append_line(path, b"first\n")
    real = os.write
    calls = []

    def half(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, bytes(data)[:3])

    monkeypatch.setattr("os.write", half)
    with pytest.raises(EvidenceError, match="nothing was added"):
        append_line(path, b"second\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"first\n"


def test_the_lock_admits_one_at_a_time(tmp_path):
    inside, most = 0, 0
    counter = threading.Lock()

    def work():
        nonlocal inside, most
        for _ in range(20):
            with locked(tmp_path / ".lock"):
                with counter:
                    inside += 1
                    most = max(most, inside)
                with counter:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 100])
def test_answers_come_in_the_order_of_the_items(tmp_path, count):
    def write(number: int) -> int:
        write_atomically(tmp_path / str(number), b"x")
        return -number

    assert in_parallel(write, range(count)) == [-number for number in range(count)]
    assert len(list(tmp_path.iterdir())) == count


@pytest.mark.parametrize("count", [3, 100])
def test_one_write_that_fails_is_said(tmp_path, count):
    (tmp_path / "2").mkdir()
    with pytest.raises(EvidenceError, match=r"2: cannot be written"):
        in_parallel(lambda number: write_atomically(tmp_path / str(number), b"x"), range(count))


def test_a_tail_that_cannot_be_taken_back_is_said(tmp_path, monkeypatch):
    def broken(*_arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", broken)
    monkeypatch.setattr("os.ftruncate", broken)
    with pytest.raises(EvidenceError, match=r"cannot be appended to: .*; a part may have been added"):
        append_line(tmp_path / "log", b"line\n")


def test_new_folders_are_durable_before_what_is_in_them(tmp_path, monkeypatch):
    """The folder above each of them is synced, from the outermost in."""
    synced = []
    monkeypatch.setattr("pv.atomic.sync_folder", synced.append)
    write_atomically(tmp_path / "a/b/c.txt", b"x")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]


def test_a_file_that_is_there_already_is_made_durable(tmp_path, monkeypatch):
    """Whoever wrote it may have been killed before its folder was synced."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    synced = []
    monkeypatch.setattr("pv.atomic.sync_folder", synced.append)
    write_atomically(path, b"x", exclusive=True)
    assert synced == [tmp_path]
