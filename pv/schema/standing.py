"""Standings as they are shown: falsifier, obligation, contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pv.schema.verdict import Standing


@dataclass(frozen=True, slots=True)
class FalsifierStanding:
    falsifier: str
    standing: Standing
    have: tuple[str, ...] = ()
    """Targets with a fresh PASS."""
    missing: tuple[str, ...] = ()
    """What keeps it from DISCHARGED, one line each."""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObligationStanding:
    obligation: str
    standing: Standing
    falsifiers: tuple[str, ...]
    waived_until: date | None = None
    """A waiver in force; a FALSIFIED obligation stays FALSIFIED beside it."""


@dataclass(frozen=True, slots=True)
class ContractStanding:
    contract: str
    standing: Standing
    obligations: tuple[ObligationStanding, ...]
    falsifiers: tuple[FalsifierStanding, ...]
