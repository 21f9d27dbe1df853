"""Trials of `pv discharge` under death and failing disks; each raises AssertionError if a promise is broken."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from support.file_operations import ERRORS, failing, half_written, killed
from support.quick_discharge import (
    IDS,
    Ended,
    check,
    claims_of,
    count_runs,
    discharge,
    in_forks,
    newest_evidence,
    write_three,
    written_evidence,
)
from support.stores import files_of

CHANGING = ("os.open", "os.write", "os.fsync", "os.replace", "os.unlink", "os.mkdir", "os.ftruncate", "fcntl.flock")
"""Operations that change something; dying before any other is dying after the one of these before it."""

MUST_SUCCEED = ("os.open", "os.write", "os.fsync", "os.replace", "os.ftruncate", "os.lseek", "fcntl.flock")
"""Operations whose failure can never be of no consequence."""


class Trials:
    """Copies of one project that has a completed run behind it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._base = write_three(folder / "base")
        ended = discharge(self._base)
        assert ended.code == 0, ended.err
        self.before = files_of(self._base / "evidence")
        self.claims = claims_of(self._base)
        began = time.monotonic()
        self.operations = discharge(self.fresh()).operations
        self.duration_s = time.monotonic() - began

    def fresh(self) -> Path:
        self._number += 1
        root = self._folder / f"trial{self._number}"
        shutil.copytree(self._base, root)
        return root

    def changing(self) -> list[int]:
        """Numbers of the operations that change something."""
        return [number for number, name in enumerate(self.operations) if name.split()[0] in CHANGING]

    def kill_at(self, number: int, *, half: bool = False) -> None:
        """Die before one operation, or in the midst of it if it is a write."""
        root = self.fresh()
        ended = discharge(root, at=number, act=half_written if half else killed)
        assert ended.code == -9, (self.operations[number], ended)
        self._after_death(root, ended)

    def kill_after(self, delay_s: float) -> None:
        """Die at a moment of the clock."""
        root = self.fresh()
        self._after_death(root, discharge(root, kill_after_s=delay_s))

    def _after_death(self, root: Path, ended: Ended) -> None:
        check(root, self.before, self.claims)
        runs = count_runs(root)
        assert runs >= (2 if ended.code == 0 else 1)
        again = discharge(root)
        assert again.code == 0, again.err
        check(root, self.before, self.claims)
        assert count_runs(root) == runs + 1
        assert not list(root.rglob("*.tmp")), "a later run has not swept up"
        shutil.rmtree(root)

    def fail_at(self, number: int, error: str) -> None:
        """One operation fails: the command says so in one line, or it made no difference whatever.

        It makes none where what was asked for is there already, such as a folder that exists.
        """
        root = self.fresh()
        ended = discharge(root, at=number, act=failing(ERRORS[error]))
        what = (self.operations[number], error, ended.code, ended.err)
        said = [line for line in ended.err.splitlines() if not line.endswith((" challenges", " done"))]
        check(root, self.before, self.claims)
        if ended.code == 0:
            assert self.operations[number].split()[0] not in MUST_SUCCEED, what
            assert count_runs(root) == 2, what
            assert set(written_evidence(root)) == newest_evidence(root), what
        else:
            assert ended.code == 2, what
            assert len(said) == 1, what
            assert os.strerror(ERRORS[error]).lower() in said[0].lower(), what
        again = discharge(root)
        assert again.code == 0, (what, again.err)
        shutil.rmtree(root)

    def limit(self, file_limit_bytes: int) -> None:
        """No file may grow beyond a limit that the kernel keeps, so that writes end in their midst."""
        root = self.fresh()
        ended = discharge(root, file_limit_bytes=file_limit_bytes)
        assert ended.code == 2, ended
        assert "file too large" in ended.err.splitlines()[-1].lower(), ended.err
        check(root, self.before, self.claims)
        assert not list(root.rglob("*.tmp")), "half a file was left"
        assert discharge(root).code == 0
        shutil.rmtree(root)

    def together(self, writers: int, runs: int) -> None:
        """Several processes discharge at the same time; every run of every one is kept."""
        root = self.fresh()

        def work(number: int) -> None:
            for _ in range(runs):
                ended = discharge(root, name=f"writer{number}")
                assert ended.code == 0, ended.err

        assert in_forks(writers, work) == [0] * writers
        check(root, self.before, self.claims)
        assert count_runs(root) == 1 + writers * runs
        assert len(files_of(root / "evidence")) == len(self.before) + writers * runs * len(IDS)
        shutil.rmtree(root)


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """At most `count` of the numbers, evenly, the first and the last among them."""
    if count >= len(numbers):
        return list(numbers)
    return [numbers[index * (len(numbers) - 1) // (count - 1)] for index in range(count)]


def delays(trials: Trials, count: int, seed: int) -> list[float]:
    """Moments in the life of a run, some of them after its end."""
    chosen = random.Random(seed)
    return [chosen.uniform(0.0, 1.1 * trials.duration_s) for _ in range(count)]
