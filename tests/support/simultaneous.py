"""Many real `pv discharge` processes at the same time, on one project, with real pytest falsifiers.

Each contract has one falsifier with a test file of its own; its result is in its name: holds, refuted, breaks.
"""

from __future__ import annotations

import fcntl
import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pv.evidence.read import read_evidence
from pv.evidence.verify import verify
from pv.schema.store import BlockOrigin
from pv.schema.verdict import Standing
from support.project import CONTRACT, TEST, write_project
from support.promises import contracts_of
from support.pv_command import start_pv
from support.stores import files_of, judged

OUTCOMES: Final = {
    "holds": ("PASS", Standing.DISCHARGED, 0),
    "refuted": ("FAIL", Standing.FALSIFIED, 1),
    "breaks": ("ERROR", Standing.OPEN, 4),
}
"""What a falsifier of this kind gives, where its contract then stands, and the exit code of its run."""
_BODIES: Final = {
    "holds": "",
    "refuted": "    assert subject.double(3) == 7\n",
    "breaks": "    raise RuntimeError('not today')\n",
}


def write_claims(root: Path, kinds: Sequence[str]) -> list[str]:
    """A project with a contract of each kind; returns their ids, in order."""
    write_project(root)
    (root / "contracts/doubling-v1.yaml").unlink()
    (root / "checks/test_double.py").unlink()
    names = []
    for number, kind in enumerate(kinds):
        names.append(f"{kind}-{number:02}")
        falsifier = f"FALSIFY-{kind.upper()}-{number:02}"
        text = CONTRACT.replace("id: doubling\n", f"id: {names[-1]}\n").replace("FALSIFY-DOUBLE-001", falsifier)
        text = text.replace("test_double.py", f"test_double_{number:02}.py")
        (root / f"contracts/{names[-1]}-v1.yaml").write_text(text)
        body = TEST.replace("FALSIFY-DOUBLE-001", falsifier).replace("    pv.record", _BODIES[kind] + "    pv.record")
        (root / f"checks/test_double_{number:02}.py").write_text(body)
    return names


@dataclass(frozen=True, slots=True)
class Ran:
    codes: tuple[int, ...]
    """Of the processes, in the order in which they were started; -9 for those that were killed."""
    reads: int
    """How often the store was verified while they ran."""


def at_once(root: Path, selections: Sequence[Sequence[str]], *, kills: int = 0, seed: int = 1) -> Ran:
    """`pv discharge` with each of the selections, all at the same time, while somebody verifies the store.

    Args:
        kills: how many of them get SIGKILL, at a random moment of the first two seconds.
    Raises:
        AssertionError: a reader saw a damaged store, or a process said something else than a result.
    """
    running = [start_pv("discharge", *selection, folder=root) for selection in selections]
    reads, problems, over = 0, set[str](), threading.Event()

    def read() -> None:
        nonlocal reads
        while not over.wait(0.01):
            problems.update(str(item) for item in verify(root / "evidence").problems)
            reads += 1

    reader = threading.Thread(target=read)
    reader.start()
    chosen = random.Random(seed)
    began = time.monotonic()
    for moment, process in sorted((chosen.uniform(0.0, 2.0), i) for i in chosen.sample(range(len(running)), kills)):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        running[process].send_signal(signal.SIGKILL)
    said = [process.communicate(timeout=600) for process in running]
    over.set()
    reader.join()
    assert not problems, problems
    for ended, (out, err) in zip(running, said, strict=True):
        assert ended.returncode in (0, 1, 4, -9), (ended.returncode, out, err)
    return Ran(tuple(ended.returncode for ended in running), reads)


def settled(root: Path, runs: Sequence[Sequence[str]], *, killed: int = 0) -> None:
    """Everything that these runs did is there, once, and what the contracts say follows from it.

    Args:
        runs: the contracts of each run that ended; all of them are of `write_claims`.
        killed: how many more runs may have left an intent, or all they had to say.
    Raises:
        AssertionError: it is not.
    """
    folder = root / "evidence"
    assert judged(folder) == (True, True)
    assert not list(root.rglob("*.tmp")), "half a file was left"
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: the lock is stuck
    (ledger,) = (folder / "ledger").iterdir()
    lines = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    events = Counter(line["event"] for line in lines)
    assert len(runs) <= events["end"] <= events["intent"] <= len(runs) + killed, events
    evidence = read_evidence(folder)
    assert len(evidence.aborted) == events["intent"] - events["end"]

    wanted = Counter(contract for run in runs for contract in run)
    found = Counter(stored.statement.predicate.contract for stored in evidence.records)
    assert all(wanted[name] <= found[name] <= wanted[name] + killed for name in wanted), (wanted, found)
    listed = json.loads(_said(root, "evidence", "list", "--output-format", "json"))
    assert {item["digest"] for item in listed["records"]} == {stored.digest for stored in evidence.records}
    assert len({item["run"] for item in listed["records"]}) >= len(runs)

    newest: dict[str, tuple[str, str]] = {}
    for stored in evidence.records:
        predicate = stored.statement.predicate
        result, _, _ = OUTCOMES[predicate.contract.partition("-")[0]]
        assert predicate.result == result, predicate
        newest[predicate.contract] = max(newest.get(predicate.contract, ("", "")), (predicate.started, stored.digest))
    for contract in contracts_of(root).values():
        if contract.id in wanted:
            kind = contract.id.partition("-")[0]
            assert contract.discharge is not None, contract.id
            assert contract.discharge.standing is OUTCOMES[kind][1], contract.discharge
            assert evidence.blocks.origin(contract.id, contract.discharge) is BlockOrigin.LAST
            (entry,) = contract.discharge.falsifiers.values()
            # What breaks supports nothing and refutes nothing.
            names = () if kind == "breaks" else (newest[contract.id][1],)
            assert entry.evidence == names, (entry, newest[contract.id])


def _said(root: Path, *arguments: str) -> str:
    process = start_pv(*arguments, folder=root)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def count_files(root: Path) -> int:
    return len(files_of(root / "evidence"))
