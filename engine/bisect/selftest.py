"""Does the bisector name what is wrong? One error of known size in one operation of side b, and then another.

An operation of each kind is taken, in layers that are spread over the model. The error is twice the floor, the smallest
that has to be found.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.bisect.bisection import FP64, Bisection
from engine.bisect.distance import MARGIN
from engine.bisect.judge import Verdict
from engine.bisect.perturb import Perturbation, Shape, perturbed
from engine.bisect.places import OPERATIONS, Place, Plan, with_ops
from engine.bisect.record import run
from engine.errors import VoidError
from engine.models.on_device import OnDevice
from engine.parity.sides import Live

TIMES = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One error and what was said of it."""

    wanted: Perturbation
    operation: str
    verdict: Verdict
    named: Place | None

    @property
    def is_right(self) -> bool:
        """Whether b, and the operation's own tap, were named."""
        return self.verdict is Verdict.B_WRONG and self.named == self.wanted.place


def one_of_each(plan: Plan, *, seed: int = 0) -> list[Perturbation]:
    """An error in one operation of each kind."""
    rng = np.random.default_rng(seed)
    shapes = list(Shape)
    found = []
    for number, operation in enumerate(OPERATIONS):
        places = [step.place for step in plan.steps if step.operation == operation and step.place is not None]
        if places:
            place = places[int(rng.integers(len(places)))]
            found.append(Perturbation(place, TIMES, shapes[number % len(shapes)], seed + number))
    return found


def trials(
    bisection: Bisection, side: Live, wanted: Sequence[Perturbation], *, margin: float = MARGIN
) -> Iterator[Trial]:
    """Record side b anew with each error, and judge with the golden forward.

    Args:
        bisection: of a session in which b is this side, without an error; it is left with the last one.
        side: with operations on numpy arrays.

    Raises:
        VoidError: the side runs on a device, or is not within its floor without an error.
    """
    if isinstance(side.llm.model, OnDevice):
        raise VoidError(
            f"self-test: side {side.name.text} runs on a device; let b be cpu, cpu-q8, cpu-q16 or reference"
        )
    session, clean = bisection.session, bisection.own("b")
    before = bisection.judgement(golden=FP64, margin=margin)
    if before.verdict is not Verdict.WITHIN:
        raise VoidError(f"self-test: without an error {before.verdict}; use sides that agree")
    operations = {step.place: step.operation for step in bisection.plan.steps}
    model = side.llm.model
    for one in wanted:
        store = session.store("b")
        shutil.rmtree(store.folder)
        floor = clean[one.place].floor(margin)
        ops = perturbed(model.ops, bisection.plan, one, floor, len(session.token_ids))
        with_ops(model, ops, lambda: run(side, session.token_ids, session.decode, store))  # noqa: B023 - called here
        bisection.forget("b")
        judgement = bisection.judgement(golden=FP64, margin=margin)
        named = judgement.found[0].cell.place if judgement.found else None
        yield Trial(one, operations[one.place], judgement.verdict, named)
