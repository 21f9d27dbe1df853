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
    contract: str
    name: str
    stored: Standing
    supported: Standing | None
    """What the evidence supports today; None for a falsifier that the contract does not have."""
    extra_targets: tuple[str, ...] = ()
    """Targets that the block has and the evidence has not."""
    outdated: bool = False
    """The contract has other falsifiers than the block, or inputs of its falsifiers have changed since."""

    @property
    def is_unsupported(self) -> bool:
        """Whether the block claims what the evidence denies, rather than what it once supported.

        A refutation that the block does not show is one, too. STALE evidence did support the block at some time.
        """
        if self.supported is None or self.stored is self.supported or self.supported is Standing.STALE:
            return False
        if self.supported is Standing.FALSIFIED:
            return True
        return not self.outdated and _STRENGTH.get(self.stored, 0) > _STRENGTH[self.supported]


def stored_standings(context: LintContext) -> Iterator[StoredStanding]:
    """Every standing that a file states, for contracts whose evidence was looked at."""
    assert context.discharges is not None
    for loaded, contract in context.readable:
        stored, supported = contract.discharge, context.discharges.get(contract.id)
        if stored is None or supported is None:
            continue
        current = {item.id for item in contract.falsifiers}
        stale = any(item.standing is Standing.STALE for item in supported.falsifiers.values())
        yield StoredStanding(
            loaded,
            ("discharge",),
            contract.id,
            contract.id,
            stored.standing,
            supported.standing,
            outdated=stale or current != set(stored.falsifiers),
        )
        for name, falsifier in stored.falsifiers.items():
            answer = supported.falsifiers.get(name)
            yield StoredStanding(
                loaded,
                ("discharge", "falsifiers", name),
                contract.id,
                name,
                falsifier.standing,
                answer.standing if answer else None,
                tuple(target for target in falsifier.have if answer and target not in answer.have),
            )
