"""Places of a forward: what a tap sees, in the order in which it is computed, and which operation makes each.

The order and the operations are found by running one token with the model's own forward, so nothing here repeats the
dataflow of `engine.models`. A name that shows an array once more, `q_bias` where there is no bias, is an echo: it is
compared, and has no operation of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from engine.bisect.double import Double, OneForward
from engine.models.protocol import Model
from engine.ops.protocol import Ops

Array = npt.NDArray[Any]

OPERATIONS = ("embedding", "matmul", "add_bias", "add", "rms_norm", "rope", "attention", "swiglu")
"""Those of `engine.ops.protocol.Ops` that compute."""


class Place(NamedTuple):
    """One tapped array of a forward."""

    layer: int | None
    name: str

    def __str__(self) -> str:
        return self.name if self.layer is None else f"layer {self.layer} {self.name}"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a forward."""

    operation: str
    weight: str
    """Name of the matrix it reads; empty where it reads none."""
    place: Place | None
    """What a tap calls the result; None where no tap sees it, as a product before its bias."""
    tail: tuple[int, ...]
    """Shape of the result after the first axis."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every operation and every place of one model's forward."""

    steps: tuple[Step, ...]
    places: tuple[Place, ...]
    """In the order of computation; echoes follow what they repeat."""

    def index(self, place: Place) -> int | None:
        """Which step makes a place; None for an echo."""
        return next((number for number, step in enumerate(self.steps) if step.place == place), None)


class Listening:
    """Operations of another backend, each call seen. Fused steps fall back to these eight."""

    def __init__(
        self, ops: Ops, call: Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
    ) -> None:
        """Args:
        call: gets name, function, arguments and keywords of each operation, and gives its result.
        """
        self.inner = ops
        self._call = call

    def __getattr__(self, name: str) -> Any:
        if name not in OPERATIONS:
            if name in ("name", "precision", "threads", "slow_types"):
                return getattr(self.inner, name)
            raise AttributeError(name)

        def run(*args: Any, **how: Any) -> Any:
            return self._call(name, getattr(self.inner, name), args, how)

        return run


def plan_of(model: Model) -> Plan:
    """Find the plan by one token through the model; its operations are replaced meanwhile."""
    results: list[tuple[str, str, Array]] = []
    echoes: list[tuple[Place, int]] = []

    def call(name: str, run: Callable[..., Any], args: tuple[Any, ...], how: dict[str, Any]) -> Any:
        result = run(*args, **how)
        weight = next((str(argument.name) for argument in args if hasattr(argument, "name")), "")
        results.append((name, weight, result))
        return result

    def tap(name: str, layer: int | None, array: Array) -> None:
        made_by = max(number for number, (_, _, result) in enumerate(results) if root(result) is root(array))
        echoes.append((Place(layer, name), made_by))

    listening = cast("Ops", Listening(cast("Ops", Double()), call))
    with_ops(model, listening, lambda: model.forward([0], OneForward.of(model), tap=tap))
    first: dict[int, Place] = {}
    for place, made_by in echoes:
        first.setdefault(made_by, place)
    steps = tuple(
        Step(name, weight, first.get(number), result.shape[1:]) for number, (name, weight, result) in enumerate(results)
    )
    # a stable sort: an echo was tapped after the place it repeats
    return Plan(steps, tuple(place for place, _ in sorted(echoes, key=lambda found: found[1])))


def with_ops(model: Model, ops: Ops, run: Callable[[], Any]) -> Any:
    """Run with other operations in the model, and put its own back whatever happens."""
    before, model.ops = model.ops, ops
    try:
        return run()
    finally:
        model.ops = before


def rows(array: Array, tokens: int) -> Array:
    """An array of a tap, or of an operation, as (T, N)."""
    return np.reshape(array, (tokens, -1))


def root(array: Array) -> Array:
    """The array that a view looks into."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
