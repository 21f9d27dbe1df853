"""The suspect operation once more, alone, on the input that the reference had.

If it is wrong there as well, it is the operation; if it is right there, the mistake is in what production does around
it: a fused kernel, a cache, a buffer. What its tap is off beyond that was inherited.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from engine.bisect.bisection import Bisection
from engine.bisect.distance import MARGIN, Excess
from engine.bisect.judge import First, Judgement
from engine.bisect.places import Place
from engine.bisect.session import GOLDEN
from engine.ops.protocol import Ops
from engine.parity.sides import Live, load, parse


@dataclass(frozen=True, slots=True)
class Graft:
    """One operation by itself."""

    side: str
    place: Place
    fed_by: str
    """Whose input it got: 'golden' or 'a'."""
    is_blamed: bool
    """Whether the judgement says that this side is wrong here."""
    own: Excess | None
    """Its error over its floor; None where a saved side has no operations here."""


def grafts(
    bisection: Bisection, judgement: Judgement, model: Path, *, threads: int | None = None, margin: float = MARGIN
) -> list[Graft]:
    """Run each operation that a judgement points at, of the side that it blames, else of b.

    Raises:
        EngineError: a side cannot run here.
    """
    return [_graft(bisection, first, judgement, model, threads, margin) for first in judgement.found]


def _graft(
    bisection: Bisection, first: First, judgement: Judgement, model: Path, threads: int | None, margin: float
) -> Graft:
    side, place = first.side or "b", first.cell.place
    fed_by = GOLDEN if judgement.golden else "a"
    name = parse(bisection.session.sides[side].name)
    if name.path is not None or bisection.plan.index(place) is None:
        return Graft(side, place, fed_by, bool(first.side), None)
    with load(name, model, threads=threads) as live:
        own = bisection.graft(side, host_ops(live), place, bisection.session.store(fed_by), margin=margin)
    return Graft(side, place, fed_by, bool(first.side), own)


def host_ops(side: Live) -> Ops:
    """The operations of a side, on numpy arrays."""
    if side.name.backend != "cuda":
        return side.llm.ops
    # both take and give numpy; what the model itself runs on are tensors that stay on the device
    return cast("Ops", import_module("engine.ops.cuda" + (".exact" if side.name.precision == "f32" else "")))
