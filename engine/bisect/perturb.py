"""A known error in one operation, to see whether it is named.

It is added to what the operation returns, before anything else reads it. Its size is in units of the floor that the
operation has on this model and these tokens: below 1 it may be noise, and from 2 on it has to be found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import numpy as np

from engine.bisect.distance import Floor, Yardstick
from engine.bisect.places import Array, Listening, Place, Plan, rows
from engine.ops.protocol import Ops


class Shape(StrEnum):
    """Where in the array an error is."""

    EVERYWHERE = "everywhere"
    POSITION = "one position"
    CHANNEL = "one channel"
    ELEMENT = "one channel of one position"


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One error."""

    place: Place
    times: float
    """Of the floor."""
    shape: Shape
    seed: int


def perturbed(ops: Ops, plan: Plan, wanted: Perturbation, floor: Floor, tokens: int) -> Ops:
    """The operations of a side with one error in them, for one forward of `tokens` tokens in any number of parts."""
    return cast("Ops", Listening(ops, _Perturbed(plan, wanted, floor, tokens)))


class _Perturbed:
    def __init__(self, plan: Plan, wanted: Perturbation, floor: Floor, tokens: int) -> None:
        self._plan, self._wanted, self._floor = plan, wanted, floor
        self._rng = np.random.default_rng(wanted.seed)
        self._position = int(self._rng.integers(tokens))
        self._channel = float(self._rng.random())
        self._index = plan.index(wanted.place)
        self._calls = self._seen = self._tokens = 0

    def __call__(self, name: str, run: Callable[..., Any], args: tuple[Any, ...], how: dict[str, Any]) -> Array:
        result: Array = run(*args, **how)
        index = self._calls % len(self._plan.steps)
        assert self._plan.steps[index].operation == name, (index, name)
        self._calls += 1
        if index == 0:  # the embedding, of as many tokens as this part has
            self._seen, self._tokens = self._seen + self._tokens, len(result)
        return self._wrong(result) if index == self._index else result

    def _wrong(self, right: Array) -> Array:
        array = rows(right, self._tokens).astype(np.float64)
        scale = Yardstick(array).scale
        error = np.zeros_like(array)
        times = self._wanted.times
        first = self._position - self._seen
        shape = self._wanted.shape
        at = slice(None) if shape in (Shape.EVERYWHERE, Shape.CHANNEL) else slice(max(first, 0), max(first + 1, 0))
        if shape in (Shape.EVERYWHERE, Shape.POSITION):
            noise = self._rng.standard_normal(array.shape)
            size = np.sqrt(np.mean(np.square(noise), axis=1, keepdims=True))
            error[at] = (times * self._floor.rms * scale * noise / size)[at]
        else:
            channel = int(self._channel * array.shape[1])
            error[at, channel] = times * self._floor.largest * scale[at, channel]
        return cast("Array", (array + error).astype(right.dtype).reshape(right.shape))
