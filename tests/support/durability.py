"""Trials of `pv discharge` under death and failing disks; each raises AssertionError if a promise is broken."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from support.file_operations import ERRORS, Failing, half_written, killed
from support.promises import check, claims_of, contracts_of, count_runs, newest_evidence, written_evidence
from support.quick_discharge import Ended, discharge, falsifiers_of, in_forks, write_few, write_many
from support.stores import files_of

CHANGING = ("os.open", "os.write", "os.fsync", "os.replace", "os.unlink", "os.mkdir", "os.ftruncate", "fcntl.flock")
"""Operations that change something; dying before any other is dying after the one of these before it."""

MUST_SUCCEED = ("os.open", "os.write", "os.fsync", "os.replace", "os.ftruncate", "os.lseek", "fcntl.flock")
"""Operations whose failure can never be of no consequence."""

PROJECTS: Final = {"few": (write_few, 1), "first": (write_few, 0), "many": (write_many, 1)}
"""How each is written, and how many completed runs it has behind it."""


class Trials:
    """Copies of one project."""

    def __init__(self, folder: Path, project: str) -> None:
        write, self._runs_before = PROJECTS[project]
        self._folder = folder
        self._number = 0
        self._base = write(folder / "base")
        self._results = len(falsifiers_of(self._base))
        for _ in range(self._runs_before):
            ended = discharge(self._base)
            assert ended.code == 0, ended.err
        self.before = files_of(self._base / "evidence")
        self.claims = claims_of(contracts_of(self._base))
        began = time.monotonic()
        self.operations = discharge(self.fresh()).operations
        self.duration_s = time.monotonic() - began

    def fresh(self) -> Path:
        self._number += 1
        root = self._folder / f"trial{self._number}"
        shutil.copytree(self._base, root)
        return root

    def changing(self) -> list[str]:
        """The operations that change something."""
        return [name for name in self.operations if name.split()[0] in CHANGING]

    def writes(self) -> list[str]:
        return [name for name in self.operations if name.startswith("os.write ")]

    def kill_at(self, operation: str, *, half: bool = False) -> None:
        """Die before one operation, or in the midst of it if it is a write."""
        root = self.fresh()
        ended = discharge(root, at=operation, act=half_written if half else killed)
        assert ended.code == -9, (operation, ended)
        self._after_death(root, ended, operation)

    def kill_after(self, delay_s: float) -> None:
        """Die at a moment of the clock."""
        root = self.fresh()
        self._after_death(root, discharge(root, kill_after_s=delay_s), f"after {delay_s:.4f} s")

    def _after_death(self, root: Path, ended: Ended, what: str) -> None:
        check(root, self.before, self.claims)
        runs = count_runs(root, self._results)
        assert runs >= self._runs_before + (ended.code == 0), what
        again = discharge(root)
        assert again.code == 0, (what, again.err)
        check(root, self.before, self.claims)
        assert count_runs(root, self._results) == runs + 1, what
        self._is_told(root, what)
        shutil.rmtree(root)

    def _is_told(self, root: Path, what: str) -> None:
        """After a run that succeeded nothing is left over, and the blocks name what it recorded."""
        assert not list(root.rglob("*.tmp")), (what, "a later run has not swept up")
        assert newest_evidence(root) <= set(written_evidence(root)), what

    def fail_at(self, operation: str, error: str, *, stays: bool = False) -> None:
        """One operation fails: the command says so in one line, or it made no difference whatever.

        It makes none where what was asked for is there already, such as a folder that exists.

        Args:
            stays: whether the disk stays as it is: full, damaged, or for reading only.
        """
        root = self.fresh()
        ended = discharge(root, at=operation, act=Failing(error, stays=stays))
        what = (operation, error, ended.code, ended.err)
        said = [line for line in ended.err.splitlines() if not line.endswith((" challenges", " done"))]
        check(root, self.before, self.claims)
        if ended.code == 0:
            assert operation.split()[0] not in MUST_SUCCEED, what
            assert count_runs(root, self._results) == self._runs_before + 1, what
            assert set(written_evidence(root)) >= newest_evidence(root), what
        else:
            assert ended.code == 2, what
            assert len(said) == 1, what
            assert os.strerror(ERRORS[error]).lower() in said[0].lower(), what
            assert count_runs(root, self._results) - self._runs_before in (0, 1), what
        again = discharge(root)
        assert again.code == 0, (what, again.err)
        check(root, self.before, self.claims)
        self._is_told(root, operation)
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
        total = writers * runs
        assert count_runs(root, self._results) == self._runs_before + total
        # Each run has for each falsifier a record and an attachment of its own.
        assert len(files_of(root / "evidence")) == len(self.before) + 2 * total * self._results
        shutil.rmtree(root)


def spread(names: Sequence[str], count: int) -> list[str]:
    """At most `count` of them, evenly, the first and the last among them."""
    if count >= len(names):
        return list(names)
    return [names[index * (len(names) - 1) // (count - 1)] for index in range(count)]


def delays(trials: Trials, count: int, seed: int) -> Iterator[float]:
    """Moments in the life of a run, some of them after its end."""
    chosen = random.Random(seed)
    return (chosen.uniform(0.0, 1.1 * trials.duration_s) for _ in range(count))
