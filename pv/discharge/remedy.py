"""What would turn a row of a gate to YES: what to change first, and the command that proves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pv.discharge.gate import Row, TargetAnswer
from pv.schema.verdict import ChallengeOutcome, Standing


@dataclass(frozen=True, slots=True)
class Remedy:
    first: str
    """What only a person can do before the command helps; empty if nothing."""
    command: str


def remedy(row: Row) -> Remedy:
    ask = row.ask
    if not ask.falsifier:
        claim = ", ".join(ask.obligations)
        first = f"let a falsifier of {claim} in {ask.path or ask.contract} name {ask.on} under targets"
        return Remedy(first, f"pv discharge {ask.contract} --target {ask.on}")
    return Remedy(_first(row), f"pv discharge {ask.falsifier} --target {ask.on}")


def commands(answer: TargetAnswer) -> tuple[str, ...]:
    """One line for each thing to run so that the target turns to YES, rows of one target together."""
    found = [problem.command for problem in answer.problems if problem.command]
    by_target: dict[str, dict[str, None]] = {}
    for row in answer.open_rows:
        by_target.setdefault(row.ask.on, {})[row.ask.contract] = None
    found += [f"pv discharge {' '.join(contracts)} --target {on}" for on, contracts in by_target.items()]
    return tuple(dict.fromkeys(found))


def _first(row: Row) -> str:
    if row.standing is Standing.FALSIFIED:
        return f"mend what it refutes: {row.ask.if_fails}"
    if row.seen.unregistered and row.seen.unregistered in row.reasons:
        return f"commit {row.ask.path or row.ask.contract}"
    if _says(row.reasons, "no challenge is declared"):
        return "declare a challenge that it must catch"
    if _says(row.reasons, "no measured value"):
        return "let the test call pv.record(...)"
    if _says(row.reasons, "the tolerance of"):
        return "state the same limit in the contract and in pv.record(..., limit=)"
    if _says(row.reasons, ChallengeOutcome.SURVIVED.value, ChallengeOutcome.NOT_APPLIED.value):
        return "sharpen the test until it catches the fault"
    if _says(row.reasons, "beyond its limit"):
        return "find out who wrote that record; pv records no such PASS"
    return ""


def _says(reasons: Sequence[str], *words: str) -> bool:
    return any(word in reason for reason in reasons for word in words)
