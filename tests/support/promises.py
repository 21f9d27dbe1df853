"""What must hold of a project after any death or any error of `pv discharge`."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pv.evidence.read import read_evidence
from pv.load import load_text
from pv.schema.contract import Contract, Discharge
from pv.schema.store import BlockOrigin
from pv.schema.verdict import Result, Standing
from support.stores import SECOND, files_of


def contracts_of(root: Path) -> dict[str, Contract]:
    """Every contract, by its file.

    Raises:
        AssertionError: a file is torn.
    """
    found = {}
    for path in sorted((root / "contracts").glob("*.yaml")):
        loaded = load_text(path.read_bytes(), path.name)
        assert loaded.contract is not None, loaded.findings
        found[path.name] = loaded.contract
    return found


def claims_of(contracts: dict[str, Contract]) -> dict[str, Contract]:
    """What contracts promise; their blocks left aside."""
    return {name: contract.model_copy(update={"discharge": None}) for name, contract in contracts.items()}


def check(root: Path, before: dict[str, bytes], claims: dict[str, Contract]) -> None:
    """What must hold after any death or any error, in the words of the promises.

    Args:
        before: the store before the run.
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
    contracts = contracts_of(root)
    assert claims_of(contracts) == claims, "a contract file is torn"
    known = {stored.digest for stored in evidence.records}
    assert set(_named(contracts)) <= known, "a block names evidence that is not there"
    for contract in contracts.values():
        if contract.discharge is not None:
            origin = evidence.blocks.origin(contract.id, contract.discharge)
            assert origin in (BlockOrigin.LAST, BlockOrigin.EARLIER), "a block that pv wrote looks typed"
            for typed in _typed(contract.discharge):
                origin = evidence.blocks.origin(contract.id, typed)
                assert origin is BlockOrigin.UNKNOWN, "a block that somebody typed looks written"
    if folder.is_dir():
        with (folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: the lock is stuck


def _typed(block: Discharge) -> Iterator[Discharge]:
    """Blocks that say something else."""
    yield from (block.model_copy(update={"standing": other}) for other in Standing if other is not block.standing)
    for name, entry in block.falsifiers.items():
        for change in ({"standing": Standing.WAIVED}, {"evidence": ("sha256:" + "0" * 64,)}, {"have": ("cuda",)}):
            yield block.model_copy(update={"falsifiers": {**block.falsifiers, name: entry.model_copy(update=change)}})


def count_runs(root: Path, results: int) -> int:
    """Completed runs whose every result counts.

    Args:
        results: how many each run has.
    """
    runs = Counter(stored.statement.predicate.run for stored in read_evidence(root / "evidence").records)
    return sum(count == results for count in runs.values())


def written_evidence(root: Path) -> list[str]:
    """What the blocks of the contract files name, where something is discharged."""
    return _named(contracts_of(root))


def _named(contracts: dict[str, Contract]) -> list[str]:
    return [
        digest
        for contract in contracts.values()
        if contract.discharge is not None
        for item in contract.discharge.falsifiers.values()
        if item.standing is Standing.DISCHARGED
        for digest in item.evidence
    ]


def newest_evidence(root: Path) -> set[str]:
    """Digests of the records of the last run."""
    records = read_evidence(root / "evidence").records
    last = max(stored.statement.predicate.started for stored in records)
    return {stored.digest for stored in records if stored.statement.predicate.started == last}
