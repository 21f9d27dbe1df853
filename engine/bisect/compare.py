"""From a session to a judgement, place by place: no more than one array of each side is in memory."""

from __future__ import annotations

from dataclasses import dataclass

from engine.bisect import free
from engine.bisect.distance import MARGIN, Excess, Floor, Yardstick
from engine.bisect.judge import Cell, Judgement, Value, judge
from engine.bisect.places import Array, Place, Plan, plan_of
from engine.bisect.replay import Own, measure
from engine.bisect.session import GOLDEN, SIDES, Session
from engine.bisect.store import Store
from engine.models.protocol import Model

FP64 = "fp64"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was compared."""

    places: int
    all_places: int
    operations: int
    """Judged by themselves, on both sides."""
    all_operations: int
    positions: int
    decode: int
    """Positions that came one by one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A judgement and how much it saw."""

    judgement: Judgement
    coverage: Coverage
    plan: Plan
    own: dict[str, dict[Place, Own]]
    """Per side: its operations by themselves."""


def compare(
    model: Model, session: Session, *, golden: str = "", elsewhere: Store | None = None, margin: float = MARGIN
) -> Comparison:
    """Judge what a session recorded.

    Args:
        model: of the same file; it runs the reference arithmetic, its own operations are put back.
        golden: what to call the golden forward; empty: b is the reference.
        elsewhere: a golden forward from another machine; default is the session's.
        margin: see `engine.bisect.distance.MARGIN`.

    Raises:
        ParityError: a recorded file is missing or damaged.
    """
    plan, ids = plan_of(model), session.token_ids
    stores = {side: session.store(side) for side in SIDES}
    own = {
        side: {found.place: found for found in measure(model, plan, session.sides[side].precision, ids, store.get)}
        for side, store in stores.items()
    }
    right = session.store(GOLDEN)
    noise = free.noise(model, ids, [side.precision for side in session.sides.values()], right)
    cells = []
    for place in plan.places:
        floors = {side: Floor.of(noise[session.sides[side].precision][place], margin) for side in SIDES}
        arrays = {side: store.get(place) for side, store in stores.items()}
        witness = None if not golden else (elsewhere or right).get(place)
        cells.append(
            _cell(
                place,
                {side: found[place] for side, found in own.items() if place in found},
                arrays,
                floors,
                witness,
                right.read(place) if elsewhere else None,
                margin,
            )
        )
    steps = [step.place for step in plan.steps if step.place]
    coverage = Coverage(
        sum(cell.apart is not None for cell in cells),
        len(cells),
        sum(all(place in found for found in own.values()) for place in steps),
        len(steps),
        len(ids),
        session.decode,
    )
    return Comparison(judge(cells, margin=margin, golden=golden), coverage, plan, own)


def _cell(
    place: Place,
    own: dict[str, Own],
    arrays: dict[str, Array | None],
    floors: dict[str, Floor],
    witness: Array | None,
    right: Array | None,
    margin: float,
) -> Cell:
    a, b = arrays["a"], arrays["b"]

    def alone(side: str, held_to: str) -> Excess | None:
        if side not in own or held_to not in own:
            return None
        return Excess.of(own[side].error, own[held_to].floor(margin))

    def from_witness(x: Array | None, floor: Floor) -> Excess | None:
        return None if x is None or witness is None else Excess.of(Yardstick(witness).distance(x), floor)

    apart = None if a is None or b is None else Excess.of(Yardstick(b).distance(a), Floor.sum(list(floors.values())))
    return Cell(
        place,
        apart,
        alone("a", "a"),
        alone("b", "b"),
        alone("b", "a"),
        from_witness(a, floors["a"]),
        from_witness(b, floors["b"]),
        from_witness(right, floors["a"]),
        _value(own.get("a"), alone("a", "a")),
        _value(own.get("b"), alone("b", "b")),
    )


def _value(own: Own | None, excess: Excess | None) -> Value | None:
    return None if own is None or excess is None else Value(own.made[excess.position], own.expected[excess.position])
