"""Standings of a catalog, recomputed from the evidence store and today's files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pv.discharge.standing import Proof, contract_standing, falsifier_standing
from pv.errors import EvidenceError, UsageError
from pv.evidence.fingerprint import Fingerprint, Fingerprints
from pv.evidence.read import read_evidence
from pv.evidence.store import Stored
from pv.process.pytest_options import project_ini
from pv.schema.contract import Contract, Falsifier
from pv.schema.settings import Settings
from pv.schema.standing import ContractStanding, FalsifierStanding


@dataclass(frozen=True, slots=True)
class Standings:
    contracts: tuple[ContractStanding, ...]
    records: int
    """Evidence records read."""
    unreadable: tuple[str, ...] = ()
    """Falsifiers whose inputs cannot be fingerprinted, with the reason."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the store: records that do not count, runs without an end."""


def model_path(root: Path, settings: Settings) -> Path | None:
    """The model that falsifiers get.

    Raises:
        UsageError: the path is not a readable file.
    """
    if settings.model is None:
        return None
    path = root / settings.model
    if not path.is_file():
        raise UsageError(f"{settings.model}: no such model file; give --model PATH or set model in [tool.pv]")
    return path


def fingerprints(root: Path, settings: Settings) -> Fingerprints:
    """Fingerprints of the project as it is now; imports are looked up where pytest would find them."""
    search = project_ini(root).get("pythonpath", [])
    return Fingerprints(root, model=model_path(root, settings), search=tuple(search))


def standings(root: Path, settings: Settings, contracts: Iterable[Contract], *, today: date) -> Standings:
    """Read every record once and judge each contract by the fresh ones.

    Raises:
        EvidenceError: the store is damaged; then nothing counts.
    """
    evidence = read_evidence(root / settings.evidence_dir)
    by_falsifier: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for stored in evidence.records:
        predicate = stored.statement.predicate
        by_falsifier[predicate.contract, predicate.falsifier].append(stored)
    today_prints = fingerprints(root, settings)
    unreadable: list[str] = []
    judged = []
    for contract in contracts:
        found: dict[str, FalsifierStanding] = {}
        for falsifier in contract.falsifiers:
            records = by_falsifier.get((contract.id, falsifier.id), [])
            found[falsifier.id] = _judge(contract, falsifier, records, today_prints, unreadable)
        judged.append(contract_standing(contract, found, today=today))
    return Standings(tuple(judged), len(evidence.records), tuple(unreadable), evidence.notes())


def _judge(
    contract: Contract, falsifier: Falsifier, records: list[Stored], prints: Fingerprints, unreadable: list[str]
) -> FalsifierStanding:
    try:
        current: Fingerprint | None = prints.of(contract, falsifier)
        trouble = ""
    except EvidenceError as err:
        current, trouble = None, str(err)
        unreadable.append(f"{falsifier.id}: {err}")
    return falsifier_standing(falsifier, [_proof(stored, current, trouble) for stored in records])


def _proof(stored: Stored, current: Fingerprint | None, trouble: str) -> Proof:
    predicate = stored.statement.predicate
    stale = (trouble,) if current is None else current.changes(predicate.files)
    return Proof(
        target=predicate.target,
        result=predicate.result,
        started=predicate.started,
        evidence=stored.digest,
        host=predicate.environment.host,
        ran=predicate.ran_target is not None,
        began=predicate.tests_begun > 0,
        components=frozenset(predicate.files),
        stale=stale,
        values=len(predicate.values),
        challenges={item.fault: item.outcome for item in predicate.challenges},
        reason=predicate.reason,
    )
