"""What discharge blocks say beside what the evidence supports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pv.lint.context import LintContext
from pv.load import KeyPath, Loaded
from pv.schema.verdict import Standing

_STRENGTH = {Standing.OPEN: 0, Standing.WAIVED: 0, Standing.PARTIAL: 1, Standing.DISCHARGED: 2}


@dataclass(frozen=True, slots=True)
class StoredStanding:
    """One standing of a discharge block: the contract's own, or a falsifier's."""

    loaded: Loaded
    path: KeyPath
    """Of the mapping that holds `standing`."""
    name: str
    subject: str
    stored: Standing
    supported: Standing | None
    """What the evidence supports today; None for a falsifier that the contract does not have."""
    extra_targets: tuple[str, ...] = ()
    """Targets that the block has and the evidence has not."""


def stored_standings(context: LintContext) -> Iterator[StoredStanding]:
    """Every standing that a file states, for contracts whose evidence was looked at."""
    assert context.discharges is not None
    for loaded, contract in context.readable:
        stored, supported = contract.discharge, context.discharges.get(contract.id)
        if stored is None or supported is None:
            continue
        yield StoredStanding(loaded, ("discharge",), contract.id, contract.id, stored.standing, supported.standing)
        for name, falsifier in stored.falsifiers.items():
            answer = supported.falsifiers.get(name)
            yield StoredStanding(
                loaded,
                ("discharge", "falsifiers", name),
                name,
                name,
                falsifier.standing,
                answer.standing if answer else None,
                tuple(target for target in falsifier.have if answer and target not in answer.have),
            )


def unsupported(stored: Standing, supported: Standing) -> bool:
    """Whether the stored standing claims what the evidence denies, rather than what it once supported.

    A refutation that the block does not show is one, too. STALE evidence did support the block at some time.
    """
    if stored is supported or supported is Standing.STALE:
        return False
    if supported is Standing.FALSIFIED:
        return True
    return _STRENGTH.get(stored, 0) > _STRENGTH[supported]
