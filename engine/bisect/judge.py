"""From distances to a verdict.

a is the reference, unless there is a golden forward. A reference judges a side only as far as it is better than that
side: where its own errors are above the floor of the side, what differs within a margin of them may be either's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.bisect.distance import MARGIN, Excess
from engine.bisect.places import Place


class Verdict(StrEnum):
    """What may be said."""

    WITHIN = "both are within the floor"
    A_WRONG = "a is wrong"
    B_WRONG = "b is wrong"
    BOTH_WRONG = "a and b are wrong"
    TOO_NOISY = "the reference is too noisy to decide"
    DRIFT = "cannot decide: they part, and no single operation is at fault"

    @property
    def is_decided(self) -> bool:
        return self not in (Verdict.TOO_NOISY, Verdict.DRIFT)


@dataclass(frozen=True, slots=True)
class Value:
    """Of the channel where an operation's own error is largest."""

    made: float
    expected: float
    """In float64, of the same input."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place; an entry is None where it was not recorded, or is an echo without an operation."""

    place: Place
    apart: Excess | None = None
    """a from b, errors inherited from before included, over the floor of both precisions."""
    a: Excess | None = None
    """The own error of a's operation, over the floor of its precision."""
    b: Excess | None = None
    a_beside_b: Excess | None = None
    """The own error of a's operation over b's floor: what a is worth as a reference for b."""
    a_golden: Excess | None = None
    """a from the golden forward, errors inherited included."""
    b_golden: Excess | None = None
    reference: Excess | None = None
    """A golden forward from elsewhere, from the one computed here, over the lower floor of the two."""
    a_value: Value | None = None
    b_value: Value | None = None


@dataclass(frozen=True, slots=True)
class First:
    """The first place at which something is beyond its floor."""

    side: str
    """'a' or 'b'; empty where nobody is blamed."""
    cell: Cell
    excess: Excess


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict and what it rests on."""

    verdict: Verdict
    found: tuple[First, ...]
    """What to look at, the first in the forward first; empty if all is within the floor."""
    cells: tuple[Cell, ...]
    """Every place of the forward, in order."""
    margin: float
    golden: str
    """Where the golden forward comes from; empty where a is the reference."""

    @property
    def parted(self) -> Cell | None:
        """The first place at which a and b are apart by more than the floor."""
        return next((cell for cell in self.cells if cell.apart and not cell.apart.is_noise), None)


def judge(cells: Sequence[Cell], *, margin: float = MARGIN, golden: str = "") -> Judgement:
    """The verdict over all places of a forward, in order."""
    verdict, found = _with_golden(cells) if golden else _with_reference(cells, margin)
    return Judgement(verdict, tuple(found), tuple(cells), margin, golden)


def _with_golden(cells: Sequence[Cell]) -> tuple[Verdict, list[First]]:
    blamed = [*_first(cells, "a", lambda cell: cell.a), *_first(cells, "b", lambda cell: cell.b)]
    if blamed:
        order = {cell.place: number for number, cell in enumerate(cells)}
        blamed.sort(key=lambda first: order[first.cell.place])
        sides = {first.side for first in blamed}
        verdict = Verdict.BOTH_WRONG if len(sides) == 2 else Verdict.A_WRONG if "a" in sides else Verdict.B_WRONG
        return verdict, blamed
    if noisy := _first(cells, "", lambda cell: cell.reference):
        return Verdict.TOO_NOISY, noisy
    drifted = [*_first(cells, "", lambda cell: cell.a_golden), *_first(cells, "", lambda cell: cell.b_golden)]
    return (Verdict.DRIFT, drifted[:1]) if drifted else (Verdict.WITHIN, [])


def _with_reference(cells: Sequence[Cell], margin: float) -> tuple[Verdict, list[First]]:
    def uncovered(cell: Cell) -> Excess | None:
        return None if _is_covered(cell, margin) else cell.b

    if blamed := _first(cells, "b", uncovered):
        return Verdict.B_WRONG, blamed
    if noisy := _first(cells, "", lambda cell: cell.a_beside_b):
        return Verdict.TOO_NOISY, noisy
    drifted = _first(cells, "", lambda cell: cell.apart)
    return (Verdict.DRIFT, drifted) if drifted else (Verdict.WITHIN, [])


def _is_covered(cell: Cell, margin: float) -> bool:
    """Whether what seems to be b's own error at this place could be the reference's."""
    a, b, beside = cell.a, cell.b, cell.a_beside_b
    if a is None or b is None or beside is None or beside.is_noise:
        return False
    return b.rms <= margin * a.rms and b.largest <= margin * a.largest


def _first(cells: Sequence[Cell], side: str, excess: Callable[[Cell], Excess | None]) -> list[First]:
    for cell in cells:
        found = excess(cell)
        if found is not None and not found.is_noise:
            return [First(side, cell, found)]
    return []
