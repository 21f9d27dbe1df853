"""`pv discharge` as a forked process in which only the tests themselves are made up.

Planning, fingerprints, the ledger, records, attachments, standings and blocks are the real ones; collecting and
running tests, which take seconds, give canned results. One run takes some ten milliseconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pv.cli.discharge
import pv.report.discharge
import pv.workflow.discharge as workflow
from pv.cli.main import run
from pv.evidence.read import read_evidence
from pv.load import load_text
from pv.schema.binding import CollectedTest, Collection
from pv.schema.run import Attachment, ChallengeRun, Job, Measured, Outcome
from pv.schema.verdict import ChallengeOutcome, Result, Standing
from support.file_operations import Act, Operations
from support.project import CONTRACT, write_project
from support.stores import SECOND, files_of

HEAD, ONE = CONTRACT.split("falsifiers:\n")
CLAIMS = HEAD + "falsifiers:\n" + "".join(ONE.replace("DOUBLE-001", f"DOUBLE-00{number}") for number in (1, 2, 3))
IDS = tuple(f"FALSIFY-DOUBLE-00{number}" for number in (1, 2, 3))
CONTRACT_FILE = "contracts/doubling-v1.yaml"


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    """As `os.waitpid` gives it."""
    err: str
    operations: tuple[str, ...]

    @property
    def code(self) -> int:
        return os.waitstatus_to_exitcode(self.status)


def write_three(root: Path) -> Path:
    """A project with three falsifiers, so that a run can die between two results."""
    return write_project(root, contract=CLAIMS)


def discharge(
    root: Path, *, at: int = -1, act: Act | None = None, kill_after_s: float | None = None, name: str = "",
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


def _child(root: Path, out: Path, err: Path, at: int, act: Act | None, file_limit_bytes: int) -> None:
    """Never returns."""
    code = 70
    try:
        # What the parent has put in their place belongs to the parent.
        sys.stdout, sys.stderr = Path(os.devnull).open("w"), err.open("w")  # noqa: SIM115 - open until the end
        os.chdir(root)
        vars(workflow).update(collect=_collect, run_jobs=_run_jobs, challenge_jobs=_challenge_jobs)
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


def _collect(_root: Path, _settings: object, _paths: object) -> Collection:
    nodeid = "checks/test_double.py::test_double"
    return Collection(tests=(CollectedTest(nodeid, "checks/test_double.py", 7, falsifies=IDS),))


def _run_jobs(_root: Path, _settings: object, jobs: Sequence[Job], **_options: Any) -> list[Outcome]:
    return [_outcome(job) for job in jobs]


def _outcome(job: Job) -> Outcome:
    data = f"what {job.falsifier} saw".encode()
    return Outcome(
        job=job,
        result=Result.PASS,
        reason="1 test passed",
        duration_s=0.001,
        values=(Measured("max_abs_error", 0.0, "1", 1e-6),),
        attachments=(Attachment("seen", hashlib.sha256(data).hexdigest(), len(data), data),),
        tests_begun=1,
        tests_passed=1,
    )


def _challenge_jobs(
    _root: Path, _settings: object, batch: Any, **_options: Any
) -> list[tuple[Job, list[ChallengeRun]]]:
    caught = ChallengeOutcome.CAUGHT
    return [(job, [ChallengeRun(fault, caught, "AssertionError", 0.001) for fault in faults]) for job, faults in batch]


def claims_of(root: Path) -> object:
    """What the contract file promises; its block left aside.

    Raises:
        AssertionError: the file is torn.
    """
    loaded = load_text((root / CONTRACT_FILE).read_bytes(), CONTRACT_FILE)
    assert loaded.contract is not None, loaded.findings
    return loaded.contract.model_copy(update={"discharge": None})


def check(root: Path, before: dict[str, bytes], claims: object) -> None:
    """What must hold after any death or any error, in the words of the promises.

    Args:
        before: the store before the run, with one completed run at least.
    """
    folder = root / "evidence"
    after = files_of(folder)
    for name, data in before.items():
        lost = not after.get(name, b"").startswith(data) if name.startswith("ledger/") else after.get(name) != data
        assert not lost, f"a completed run lost {name}"
    assert SECOND(folder, {}).run() == [], "the store is torn"
    evidence = read_evidence(folder)
    unfinished = {item.run for item in evidence.aborted}
    for stored in evidence.records:
        predicate = stored.statement.predicate
        assert predicate.result is not Result.PASS or predicate.run not in unfinished, "a PASS was invented"
    assert claims_of(root) == claims, "the contract file is torn"
    with (folder / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: the lock is stuck


def count_runs(root: Path) -> int:
    """Completed runs whose every result counts."""
    runs: dict[str, int] = {}
    for stored in read_evidence(root / "evidence").records:
        runs[stored.statement.predicate.run] = runs.get(stored.statement.predicate.run, 0) + 1
    return sum(count == len(IDS) for count in runs.values())


def written_evidence(root: Path) -> list[str]:
    """What the block of the contract file names, where everything is discharged."""
    loaded = load_text((root / CONTRACT_FILE).read_bytes(), CONTRACT_FILE)
    assert loaded.contract is not None
    assert loaded.contract.discharge is not None
    items = loaded.contract.discharge.falsifiers.values()
    return [digest for item in items for digest in item.evidence if item.standing is Standing.DISCHARGED]


def newest_evidence(root: Path) -> set[str]:
    """Digests of the records of the last run."""
    records = read_evidence(root / "evidence").records
    last = max(stored.statement.predicate.started for stored in records)
    return {stored.digest for stored in records if stored.statement.predicate.started == last}


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
