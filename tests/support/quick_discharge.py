"""`pv discharge` as a forked process in which only the tests themselves are made up.

Planning, fingerprints, the ledger, records, attachments, standings and blocks are the real ones; collecting and
running tests, which take seconds, give canned results. One run takes some ten milliseconds.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pv.cli.discharge
import pv.report.discharge
import pv.workflow.discharge as workflow
import pv.workflow.plan
from pv.cli.main import run
from pv.schema.binding import CollectedTest, Collection
from pv.schema.run import Attachment, ChallengeRun, Job, Measured, Outcome
from pv.schema.verdict import ChallengeOutcome, Result
from support.file_operations import Act, Operations
from support.project import CONTRACT, write_project

HEAD, ONE = CONTRACT.split("falsifiers:\n")
_ID: Final = re.compile(r"^ +- id: (FALSIFY-\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    """As `os.waitpid` gives it."""
    err: str
    operations: tuple[str, ...]

    @property
    def code(self) -> int:
        return os.waitstatus_to_exitcode(self.status)


def write_few(root: Path) -> Path:
    """One contract with three falsifiers, so that a run can die between two results."""
    falsifiers = (ONE.replace("DOUBLE-001", f"DOUBLE-00{number}") for number in (1, 2, 3))
    return write_project(root, contract=HEAD + "falsifiers:\n" + "".join(falsifiers))


def write_many(root: Path, count: int = 12) -> Path:
    """So many contracts with one falsifier each that records and blocks are written by several threads."""
    write_project(root)
    (root / "contracts/doubling-v1.yaml").unlink()
    for number in range(1, count + 1):
        text = CONTRACT.replace("id: doubling\n", f"id: doubling-{number:02}\n")
        path = root / f"contracts/doubling-{number:02}-v1.yaml"
        path.write_text(text.replace("FALSIFY-DOUBLE-001", f"FALSIFY-DOUBLE-1{number:02}"), encoding="utf-8")
    return root


def falsifiers_of(root: Path) -> tuple[str, ...]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((root / "contracts").glob("*.yaml"))]
    return tuple(name for text in texts for name in _ID.findall(text))


def discharge(
    root: Path, *, at: str = "", act: Act | None = None, kill_after_s: float | None = None, name: str = "",
    file_limit_bytes: int = -1,
) -> Ended:  # fmt: skip
    """One `pv discharge` in a fork of this process.

    Args:
        at, act: interfere with one file operation, see `Operations`.
        kill_after_s: SIGKILL from outside after this long.
        name: tells the outputs of processes that run side by side apart.
        file_limit_bytes: no file of the process may grow beyond this (RLIMIT_FSIZE); no limit if negative.
    """
    out, err = (root.parent / f"{root.name}{name}.{kind}" for kind in ("out", "err"))
    err.write_text("")
    child = os.fork()
    if child == 0:
        _child(root, out, err, at, act, file_limit_bytes)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    operations = out.read_text().splitlines() if out.exists() else []
    return Ended(status, err.read_text(), tuple(operations))


def _child(root: Path, out: Path, err: Path, at: str, act: Act | None, file_limit_bytes: int) -> None:
    """Never returns."""
    code = 70
    try:
        # What the parent has put in their place belongs to the parent.
        sys.stdout, sys.stderr = Path(os.devnull).open("w"), err.open("w")  # noqa: SIM115 - open until the end
        os.chdir(root)
        collection = _collection(falsifiers_of(root))
        vars(pv.workflow.plan).update(collect=lambda *_: collection)
        vars(workflow).update(run_jobs=_run_jobs, Challenges=_AllCaught)
        operations = Operations(root, at=at, act=act)
        operations.install()
        if file_limit_bytes >= 0:
            # Python ignores SIGXFSZ, so that a write beyond the limit is an error (EFBIG) and not a death.
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit_bytes, file_limit_bytes))
        code = run(["discharge"])
        sys.stderr.flush()
        out.write_text("\n".join(operations.seen))
    finally:
        os._exit(code)


def _collection(falsifiers: tuple[str, ...]) -> Collection:
    nodeid = "checks/test_double.py::test_double"
    return Collection(tests=(CollectedTest(nodeid, "checks/test_double.py", 7, falsifies=falsifiers),))


def _run_jobs(_root: Path, _settings: object, jobs: Sequence[Job], **_options: Any) -> list[Outcome]:
    return [_outcome(job) for job in jobs]


def _outcome(job: Job) -> Outcome:
    same, new = (f"what {job.falsifier} saw".encode(), f"what process {os.getpid()} saw of {job.falsifier}".encode())
    return Outcome(
        job=job,
        result=Result.PASS,
        reason="1 test passed",
        duration_s=0.001,
        values=(Measured("max_abs_error", 0.0, "1", 1e-6),),
        attachments=(_attachment("same", same), _attachment("new", new)),
        tests_begun=1,
        tests_passed=1,
    )


def _attachment(name: str, data: bytes) -> Attachment:
    return Attachment(name, hashlib.sha256(data).hexdigest(), len(data), data)


class _AllCaught(contextlib.AbstractContextManager["_AllCaught"]):
    """In the place of `pv.challenge.Challenges`."""

    def __init__(self, _root: Path, _settings: object, batch: Any, **_options: Any) -> None:
        self._batch = batch

    def __exit__(self, *_exception: object) -> None:
        pass

    def of(self, passed: Container[Job]) -> list[tuple[Job, list[ChallengeRun]]]:
        run = functools.partial(ChallengeRun, outcome=ChallengeOutcome.CAUGHT, reason="AssertionError", duration_s=1e-3)
        return [(job, [run(fault) for fault in faults]) for job, faults in self._batch if job in passed]


def in_forks(count: int, work: Callable[[int], None]) -> list[int]:
    """Call `work(number)` in as many processes at the same time; their exit codes."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                work(number)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


_LOADED = (pv.cli.discharge, pv.report.discharge)
"""Imported here, so that a fork does not spend its time on imports."""
