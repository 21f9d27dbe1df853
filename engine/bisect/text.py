"""A judgement as lines of at most 100 columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from engine.bisect.bisection import Coverage
from engine.bisect.distance import Excess
from engine.bisect.graft import Graft
from engine.bisect.judge import Cell, First, Judgement, Value, Verdict
from engine.bisect.session import GOLDEN, Session


def lines(judgement: Judgement, session: Session, coverage: Coverage, grafts: Sequence[Graft]) -> Iterator[str]:
    """The whole report."""
    for key, side in session.sides.items():
        yield f"{key}        {side.name} ({side.precision})"
    yield f"golden   {judgement.golden or 'none; a is the reference'}"
    yield f"tokens   {len(session.token_ids)}, the last {session.decode} one by one"
    yield str(coverage)
    yield f"floor    {judgement.margin:g} times the largest distance of right computations in a side's precision"
    yield ""
    yield from _table(judgement.cells)
    yield ""
    yield str(judgement.verdict)
    for first in judgement.found:
        yield from _first(first, judgement, session)
    for graft in grafts:
        yield from _graft(graft)
    parted = judgement.parted
    if parted is not None and parted.apart is not None:
        yield f"  a and b part beyond the floor at {parted.place}, {where(parted.apart, session)}"
    elif not judgement.found:
        yield "  a and b part nowhere beyond the floor"
    if judgement.verdict is Verdict.TOO_NOISY and not judgement.golden:
        yield "  --golden fp64 judges both beside a forward in float64"


def _first(first: First, judgement: Judgement, session: Session) -> Iterator[str]:
    cell, excess = first.cell, first.excess
    yield f"  {first.side + ': ' if first.side else ''}{cell.place}, {where(excess, session)}"
    if not first.side:
        yield f"    {_reason(judgement)}: {times(excess.times)} floors"
        return
    yield f"    own error  {times(excess.times)} floors: rms {excess.rms:.2e}, largest {excess.largest:.2e}"
    value = cell.a_value if first.side == "a" else cell.b_value
    if value is not None:
        yield f"    value      {made(value)}"
    beside = (cell.a_golden if first.side == "a" else cell.b_golden) if judgement.golden else cell.apart
    if beside is not None:
        reference = judgement.golden or "a"
        yield f"    inherited  with what came before, {times(beside.times)} floors from {reference} here"


def _reason(judgement: Judgement) -> str:
    if judgement.verdict is Verdict.DRIFT:
        return "further apart than right computations drift, and each operation is within its floor"
    if judgement.golden:
        return "the golden forward given is from the one computed here"
    return "the own error of a, the reference, over the floor that b is held to"


def _graft(graft: Graft) -> Iterator[str]:
    source = "the golden forward" if graft.fed_by == GOLDEN else "a"
    if graft.own is None:
        yield f"  graft: {graft.side} at {graft.place} cannot be run alone here"
        return
    what = "wrong as well" if not graft.own.is_noise else "within its floor"
    yield f"  graft: alone, on the input of {source}, {graft.side} at {graft.place} is {what}:"
    yield f"    {times(graft.own.times)} floors"
    if graft.is_blamed and graft.own.is_noise:
        yield "    it is what production does around it: a fusion, a cache, a buffer"


def _table(cells: Sequence[Cell]) -> Iterator[str]:
    """Per layer the worst of each question, and where."""
    yield f"{'layer':<9}{'own error of a':<25}{'own error of b':<25}{'apart, with what came before':<28}"
    layers = dict.fromkeys(cell.place.layer for cell in cells)
    for layer in sorted(layers, key=lambda number: (number is None, number)):
        there = [cell for cell in cells if cell.place.layer == layer]
        columns = (_worst(there, lambda cell: cell.a), _worst(there, lambda cell: cell.b))
        apart = _worst(there, lambda cell: cell.apart)
        yield f"{'ends' if layer is None else layer:<9}" + f"{columns[0]:<25}{columns[1]:<25}{apart}".rstrip()


def _worst(cells: Sequence[Cell], excess: Callable[[Cell], Excess | None]) -> str:
    found = [(seen.times, cell.place.name) for cell in cells if (seen := excess(cell)) is not None]
    if not found:
        return "not compared"
    worst, name = max(found)
    return f"{times(worst):>8} {name}"


def where(excess: Excess, session: Session) -> str:
    """Position and channel."""
    prompt = len(session.token_ids) - session.decode
    phase = "prompt" if excess.position < prompt else "one by one"
    return f"position {excess.position} ({phase}), channel {excess.channel}"


def made(value: Value) -> str:
    """What an operation made, and what it should have."""
    return f"{value.made:.7g}, float64 makes {value.expected:.7g} of the same input"


def times(value: float) -> str:
    """Floors, three digits."""
    if not math.isfinite(value):
        return "infinite"
    return f"{value:.2f}" if value < 10 else f"{value:.3g}" if value < 1000 else f"{value:.1e}"
