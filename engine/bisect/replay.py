"""Each operation of a forward by itself: its error where its input is given, and not what came before it made of it.

One pass through the model's own forward, with operations that compute a step from given inputs and hand on the given
output, so that the next step has its given input too. A step's own error is the distance of what a side made of that
input to the same step in float64; its floor comes from the witnesses, which get that input as well. Nothing is
inherited, in the error or in the floor, and after a wrong step the next one is again judged fairly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from engine.bisect.distance import F64, Distance, Extent, Floor, Yardstick
from engine.bisect.double import Double, OneForward
from engine.bisect.places import Array, Listening, Place, Plan, root, rows, with_ops
from engine.bisect.witness import Precision
from engine.models.protocol import Model
from engine.ops.protocol import Ops

Given = Callable[[Place], Array | None]
"""What was recorded at a place, (T, N); None where it was not."""

_LAYER = 32
"""Operations after which the results of one that no tap saw are forgotten: more than a layer has."""


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """One step by itself."""

    place: Place
    error: Distance
    noise: tuple[Extent, ...]
    """Of each witness."""
    made: F64
    """(T,): what the side has where the error of a position is largest."""
    expected: F64
    """(T,): what float64 has there."""

    def floor(self, margin: float) -> Floor:
        return Floor.of(self.noise, margin)


def measure(
    model: Model, plan: Plan, precision: Precision, ids: Sequence[int], given: Given, only: Place | None = None
) -> list[Own]:
    """The own error of every step of a side, in order.

    Args:
        precision: what the side claims.
        given: what the side recorded. A step that it did not record counts with the next one that it did.
        only: of this one; not an echo.
    """
    return _Replay(plan, precision.witnesses(), given, len(ids), only).run(model, ids)


def graft(
    model: Model, plan: Plan, precision: Precision, ids: Sequence[int], given: Given, ops: Ops, place: Place
) -> Own:
    """The own error of one step of a side's operations that are fed with given inputs.

    Args:
        given: what the reference recorded.
        ops: the side's operations, on numpy arrays.
        place: of a step; not an echo.
    """
    return _Replay(plan, (*precision.witnesses(), ops), given, len(ids), place, grafted=True).run(model, ids)[0]


class _Replay:
    def __init__(
        self,
        plan: Plan,
        others: tuple[Any, ...],
        given: Given,
        tokens: int,
        only: Place | None,
        *,
        grafted: bool = False,
    ) -> None:
        """Args:
        others: arithmetic to run beside float64: the witnesses, and if `grafted` the side's own at the end.
        """
        self._plan, self._others, self._given, self._tokens = plan, others, given, tokens
        self._only, self._grafted = only, grafted
        self._found: list[Own] = []
        self._next = 0
        # Of steps that nobody recorded: number, float64's result and what each of `others` made of it, by identity.
        self._unseen: dict[int, tuple[int, Array, list[Array]]] = {}

    def run(self, model: Model, ids: Sequence[int]) -> list[Own]:
        ops = cast("Ops", Listening(cast("Ops", Double()), self._call))
        with np.errstate(all="ignore"):  # a broken side's infinities are reported as distances
            with_ops(model, ops, lambda: model.forward(list(ids), OneForward.of(model)))
        return self._found

    def _call(self, name: str, run: Callable[..., Any], args: tuple[Any, ...], how: dict[str, Any]) -> Array:
        number, step = self._next, self._plan.steps[self._next]
        self._next += 1
        assert step.operation == name, (step, name)
        value = None if step.place is None else self._given(step.place)
        if value is not None:
            # float32, which is what a side's next operation reads, also where a reference recorded float64
            value = value.astype(np.float32).astype(np.float64).reshape(-1, *step.tail)
            if self._only not in (None, step.place):
                return value
        exact = run(*args, **how)
        made = [getattr(ops, name)(*self._single(args, which), **how) for which, ops in enumerate(self._others)]
        if step.place is None or (value is None and not (self._grafted and step.place == self._only)):
            self._unseen = {key: old for key, old in self._unseen.items() if old[0] > number - _LAYER}
            self._unseen[id(exact)] = number, exact, made
            return cast("Array", exact)
        side = made.pop() if self._grafted else value
        assert side is not None
        self._found.append(self._own(step.place, exact, side, made))
        return exact if value is None else value

    def _own(self, place: Place, exact: Array, side: Array, made: list[Array]) -> Own:
        right, found = rows(exact, self._tokens), rows(side, self._tokens)
        yardstick = Yardstick(right)
        error = yardstick.distance(found)
        at = error.channel[:, None]
        return Own(
            place,
            error,
            tuple(yardstick.distance(rows(other, self._tokens)).extent for other in made),
            np.take_along_axis(found, at, axis=1)[:, 0].astype(np.float64),
            np.take_along_axis(right, at, axis=1)[:, 0],
        )

    def _single(self, args: tuple[Any, ...], which: int) -> list[Any]:
        """Arguments for one of `others`: float32, and its own results of steps that nobody recorded."""
        found: list[Any] = []
        for argument in args:
            if isinstance(argument, np.ndarray) and (unseen := self._unseen.get(id(root(argument)))):
                found.append(unseen[2][which].reshape(argument.shape))
            elif isinstance(argument, np.ndarray) and argument.dtype == np.float64:
                found.append(argument.astype(np.float32))
            else:
                found.append(argument)
        return found
