"""Standings of a catalog, recomputed from the evidence store and today's files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pv.discharge.standing import Proof, contract_standing, falsifier_standing
from pv.errors import EvidenceError, UsageError
from pv.evidence.blocks import Blocks
from pv.evidence.fingerprint import Fingerprint, Fingerprints
from pv.evidence.read import Evidence, read_evidence
from pv.process.pytest_options import project_ini
from pv.schema.contract import Contract, Falsifier, Tolerance
from pv.schema.limits import difference, shown
from pv.schema.settings import Settings
from pv.schema.standing import ContractStanding, FalsifierStanding
from pv.schema.store import Stored


@dataclass(frozen=True, slots=True)
class Standings:
    contracts: tuple[ContractStanding, ...]
    records: int
    """Evidence records read."""
    unreadable_inputs: tuple[tuple[str, str], ...] = ()
    """Falsifiers whose inputs cannot be fingerprinted, with the reason."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the store: records that do not count, runs without an end."""
    blocks: Blocks = field(default_factory=Blocks)
    """Discharge blocks that runs wrote so far."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The same, one line each."""
        return tuple(f"{falsifier}: {reason}" for falsifier, reason in self.unreadable_inputs)


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


def fingerprints(root: Path, settings: Settings, *, strict: bool = False) -> Fingerprints:
    """Fingerprints of the project as it is now; imports are looked up where pytest would find them.

    Args:
        strict: hash the model again, whatever the cache remembers.
    """
    search = project_ini(root).get("pythonpath", [])
    return Fingerprints(
        root, model=model_path(root, settings), search=tuple(search), plugins=settings.pytest_plugins, strict=strict
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """Every record that counts, by falsifier, and today's fingerprints; read once."""

    records: Mapping[tuple[str, str], Sequence[Stored]]
    """By (contract id, falsifier id)."""
    prints: Fingerprints
    count: int
    problems: tuple[str, ...]
    """What somebody did to the store; it keeps a gate from YES."""
    notes: tuple[str, ...]
    blocks: Blocks

    def of(self, contract: Contract, falsifier: Falsifier) -> tuple[list[Stored], list[Proof], str]:
        """The falsifier's records, what they prove today, and why its inputs cannot be fingerprinted, if so."""
        records = list(self.records.get((contract.id, falsifier.id), ()))
        try:
            current: Fingerprint | None = self.prints.of(contract, falsifier)
            trouble = ""
        except EvidenceError as err:
            current, trouble = None, str(err)
        tolerances = {
            item.id: item.tolerance for item in contract.obligations if item.tolerance and item.id in falsifier.refutes
        }
        return records, [_proof(stored, current, trouble, tolerances) for stored in records], trouble


def gather(root: Path, settings: Settings, *, strict: bool = False) -> Facts:
    """
    Args:
        strict: hash the model again, whatever the cache remembers.
    Raises:
        EvidenceError: the store is damaged; then nothing counts.
        UsageError: the model is missing.
    """
    return facts_of(read_evidence(root / settings.evidence_dir), fingerprints(root, settings, strict=strict))


def facts_of(evidence: Evidence, prints: Fingerprints) -> Facts:
    by_falsifier: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for stored in evidence.records:
        predicate = stored.statement.predicate
        by_falsifier[predicate.contract, predicate.falsifier].append(stored)
    return Facts(by_falsifier, prints, len(evidence.records), evidence.problems(), evidence.notes(), evidence.blocks)


def standings(
    root: Path, settings: Settings, contracts: Iterable[Contract], *, today: date, strict: bool = False
) -> Standings:
    """Read every record once and judge each contract by the fresh ones.

    Args:
        strict: hash the model again, whatever the cache remembers.
    Raises:
        EvidenceError: the store is damaged; then nothing counts.
    """
    facts = gather(root, settings, strict=strict)
    unreadable: list[tuple[str, str]] = []
    judged = []
    for contract in contracts:
        found: dict[str, FalsifierStanding] = {}
        for falsifier in contract.falsifiers:
            _, proofs, trouble = facts.of(contract, falsifier)
            if trouble:
                unreadable.append((falsifier.id, trouble))
            found[falsifier.id] = falsifier_standing(falsifier, proofs)
        judged.append(contract_standing(contract, found, today=today))
    return Standings(tuple(judged), facts.count, tuple(unreadable), (*facts.problems, *facts.notes), facts.blocks)


def _proof(
    stored: Stored, current: Fingerprint | None, trouble: str, tolerances: Mapping[str, Tolerance]
) -> Proof:  # fmt: skip
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
        other_limits=tuple(
            f"the test {said}, the tolerance of '{name}' is {shown(tolerance.bound, tolerance.limit)}"
            for name, tolerance in tolerances.items()
            if (said := difference(tolerance, predicate.values))
        ),
        challenges={item.fault: item.outcome for item in predicate.challenges},
        reason=predicate.reason,
    )
