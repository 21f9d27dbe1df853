"""From a session to a judgement, place by place: no more than one array of each side is in memory."""

from __future__ import annotations

from dataclasses import dataclass

from engine.bisect import free, replay
from engine.bisect.distance import MARGIN, Excess, Floor, Yardstick
from engine.bisect.judge import Cell, Judgement, Value, judge
from engine.bisect.places import Array, Place, Plan, plan_of
from engine.bisect.replay import Own
from engine.bisect.session import GOLDEN, SIDES, Session
from engine.bisect.store import Store
from engine.bisect.witness import Precision
from engine.models.protocol import Model
from engine.ops.protocol import Ops

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

    def __str__(self) -> str:
        return (
            f"compared {self.places} of {self.all_places} taps at {self.positions} of {self.positions} positions "
            f"({self.decode} one by one); {self.operations} of {self.all_operations} operations judged by themselves"
        )


class Bisection:
    """What a session shows; what is measured once is kept for further judgements."""

    def __init__(self, model: Model, session: Session) -> None:
        """Args:
        model: of the same file; it runs the reference arithmetic, its own operations are put back.
        """
        self.session = session
        self.plan: Plan = plan_of(model)
        self._model = model
        self._own: dict[str, dict[Place, Own]] = {}
        self._noise: dict[Precision, free.Noise] = {}

    def own(self, side: str) -> dict[Place, Own]:
        """The operations of side 'a' or 'b', each by itself.

        Raises:
            ParityError: a recorded file is damaged.
        """
        if side not in self._own:
            session, store = self.session, self.session.store(side)
            precision = session.sides[side].precision
            found = replay.measure(self._model, self.plan, precision, session.token_ids, store.get)
            self._own[side] = {step.place: step for step in found}
        return self._own[side]

    def forget(self, side: str) -> None:
        """This side was recorded anew."""
        self._own.pop(side, None)

    def graft(self, side: str, ops: Ops, place: Place, reference: Store, *, margin: float = MARGIN) -> Excess:
        """The own error of one operation of a side, fed with what the reference recorded, over its floor there."""
        precision, ids = self.session.sides[side].precision, self.session.token_ids
        found = replay.graft(self._model, self.plan, precision, ids, reference.get, ops, place)
        return Excess.of(found.error, found.floor(margin))

    def judgement(self, *, golden: str = "", elsewhere: Store | None = None, margin: float = MARGIN) -> Judgement:
        """The verdict.

        Args:
            golden: what to call the golden forward; empty: a is the reference.
            elsewhere: a golden forward from another machine; default is the session's.
            margin: see `engine.bisect.distance.MARGIN`.

        Raises:
            ParityError: a recorded file is missing or damaged.
        """
        right = self.session.store(GOLDEN)
        for side in self.session.sides.values():
            if side.precision not in self._noise:
                self._noise[side.precision] = free.noise(self._model, self.session.token_ids, side.precision, right)
        stores = {side: self.session.store(side) for side in SIDES}
        cells = []
        for place in self.plan.places:
            floors = {side: Floor.of(self._noise[self.session.sides[side].precision][place], margin) for side in SIDES}
            arrays = {side: store.get(place) for side, store in stores.items()}
            own = {side: self.own(side)[place] for side in SIDES if place in self.own(side)}
            witness = (elsewhere or right).get(place) if golden else None
            cells.append(_cell(place, own, arrays, floors, witness, right.read(place) if elsewhere else None, margin))
        return judge(cells, margin=margin, golden=golden)

    def coverage(self, judgement: Judgement) -> Coverage:
        """How much a judgement of this session saw."""
        steps = [step.place for step in self.plan.steps if step.place]
        return Coverage(
            sum(cell.apart is not None for cell in judgement.cells),
            len(judgement.cells),
            sum(all(place in self.own(side) for side in SIDES) for place in steps),
            len(steps),
            len(self.session.token_ids),
            self.session.decode,
        )


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

    def value(side: str) -> Value | None:
        excess = alone(side, side)
        if excess is None:
            return None
        return Value(float(own[side].made[excess.position]), float(own[side].expected[excess.position]))

    def from_witness(x: Array | None, floor: Floor) -> Excess | None:
        return None if x is None or witness is None else Excess.of(Yardstick(witness).distance(x), floor)

    both = Floor.of_difference(floors["a"], floors["b"])
    return Cell(
        place,
        apart=None if a is None or b is None else Excess.of(Yardstick(b).distance(a), both),
        a=alone("a", "a"),
        b=alone("b", "b"),
        a_beside_b=alone("a", "b"),
        a_golden=from_witness(a, floors["a"]),
        b_golden=from_witness(b, floors["b"]),
        reference=from_witness(right, min(floors.values(), key=lambda floor: floor.rms)),
        a_value=value("a"),
        b_value=value("b"),
    )
