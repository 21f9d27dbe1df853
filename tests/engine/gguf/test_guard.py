"""A mapped file that shrinks, in processes of their own: what reads it, and what else a SIGBUS may mean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.gguf_builder import valid_file

ROWS = 65_536
OPENS = """
import mmap, os, sys
from engine.gguf.reader import open_gguf
file = open_gguf(sys.argv[1])
data = file.data("blk.0.attn_q.weight")
os.truncate(sys.argv[1], 4096)
"""
FOREIGN = """
with open(sys.argv[1] + ".other", "w+b") as other:
    other.truncate(8192)
    plain = mmap.mmap(other.fileno(), 0)
    other.truncate(0)
plain[4096]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """9 MB, all of them 1."""
    builder = valid_file()
    builder.infos[1].dims = [256, ROWS]
    builder.infos[2].offset = 128 + ROWS * 144
    builder.data = b"\1" * (builder.infos[2].offset + 32)
    path = tmp_path / "m.gguf"
    path.write_bytes(builder.build())
    return path


def child(model: Path, code: str) -> tuple[int, str, str]:
    """Exit code, stdout and the last line of stderr of a process that opens the file, cuts it and goes on."""
    command = [sys.executable, "-c", OPENS + code, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, (done.stderr.splitlines() or [""])[-1]


def test_what_is_gone_reads_as_zeros_and_is_an_error_of_the_next_check(model: Path):
    """The first page is still there: the header, and a part of the weights, all 1."""
    size = model.stat().st_size
    code, out, err = child(model, "print(data[-1].sum(), data.max()); file.check_unchanged()")
    assert (code, out) == (1, "0 1\n")
    assert err == (
        f"engine.errors.GgufError: m.gguf: GGUF-M15: the model file changed while in use: "
        f"it has 4096 bytes, and had {size}; load it again"
    )


def test_a_loss_is_not_forgotten_when_size_and_time_are_those_of_before(model: Path):
    before = model.stat()
    restore = f"data.sum(); os.truncate(sys.argv[1], {before.st_size}); "
    restore += f"os.utime(sys.argv[1], ns=({before.st_atime_ns}, {before.st_mtime_ns})); file.check_unchanged()"
    code, _, err = child(model, restore)
    assert code == 1
    assert err.endswith("the model file changed while in use: some of it could not be read; load it again")


def test_threads_that_hold_no_lock_go_on_as_well(model: Path):
    """hashlib lets go of the interpreter lock while it reads."""
    hashes = """
import hashlib, threading
threads = [threading.Thread(target=lambda: hashlib.sha256(data).digest()) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(len(threads))
"""
    assert child(model, hashes) == (0, "4\n", "")


def test_views_that_outlive_the_file_are_guarded(model: Path):
    assert child(model, "file.close(); del file; print(data[-1].sum())") == (0, "0\n", "")


@pytest.mark.parametrize("code", [FOREIGN, "os.kill(os.getpid(), 7)"], ids=["other map", "sent"])
def test_a_bus_error_of_something_else_ends_the_process_as_ever(model: Path, code: str):
    assert child(model, code) == (-signal.SIGBUS, "", "")


def test_an_earlier_handler_gets_what_is_not_a_models(model: Path):
    """faulthandler's was there before: it prints, then the signal ends the process."""
    command = [sys.executable, "-X", "faulthandler", "-c", OPENS + FOREIGN, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGBUS
    assert done.stderr.startswith("Fatal Python error: Bus error")


def test_a_file_cut_between_its_header_and_its_map_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch):
    from engine.errors import GgufError
    from engine.gguf import guard, reader

    class CutsFirst(guard.GuardedMap):
        def __init__(self, descriptor: int, size: int) -> None:
            os.truncate(model, 4096)
            super().__init__(descriptor, size)

    monkeypatch.setattr(reader, "GuardedMap", CutsFirst)
    with pytest.raises(GgufError, match=r"GGUF-M15: .* it has 4096 bytes"):
        reader.open_gguf(model)
