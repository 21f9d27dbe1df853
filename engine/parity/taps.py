"""Taps that summarise or save what they see, for chosen layers and places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine import trace
from engine.ops.protocol import F32
from engine.parity.saved import layer_tensor
from engine.parity.statistics import Statistics, Summary
from engine.parity.writer import TensorWriter
from engine.trace import Tap

Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which places a tap looks at."""

    layers: frozenset[int]
    names: frozenset[str]
    """Of `engine.trace.ORDER`."""

    def __contains__(self, place: Place) -> bool:
        name, layer = place
        return name in self.names and (layer is None or layer in self.layers)

    @property
    def on_request(self) -> tuple[str, ...]:
        """Those that the forward computes only for a tap that asks."""
        return tuple(name for name in trace.ON_REQUEST if name in self.names)

    @property
    def places(self) -> int:
        """How many there are at most."""
        return len(self.names) * max(1, len(self.layers))


class Summaries:
    """A tap that keeps `Statistics` of each chosen place."""

    def __init__(self, choice: Choice) -> None:
        self.on_request = choice.on_request
        self._choice = choice
        self._found: dict[Place, Statistics] = {}

    def __call__(self, name: str, layer: int | None, array: F32) -> None:
        if (name, layer) not in self._choice:
            return
        found = self._found.setdefault((name, layer), Statistics())
        if name == "scores":
            found.add_scores(array)
        else:
            found.add(array)

    def __iter__(self) -> Iterator[tuple[Place, Summary]]:
        """As the values flow: the embedding, layer by layer, the end."""
        last = len(self._choice.layers) and max(self._choice.layers) + 1

        def order(place: Place) -> tuple[int, int]:
            name, layer = place
            at = trace.ORDER.index(name)
            return (layer if layer is not None else -1 if at == 0 else last, at)

        return ((place, self._found[place].summary()) for place in sorted(self._found, key=order))


class Saver:
    """A tap that writes each chosen place to a file as it comes; nothing is kept."""

    def __init__(self, choice: Choice, writer: TensorWriter, tokens: int) -> None:
        """Args:
        tokens: that will be run in all.
        """
        self.on_request = choice.on_request
        self.not_finite = 0
        """Values that no comparison will accept."""
        self._choice, self._writer, self._tokens = choice, writer, tokens
        self._rows: dict[Place, int] = {}

    def __call__(self, name: str, layer: int | None, array: F32) -> None:
        if (name, layer) not in self._choice:
            return
        if name == "scores":  # slots of tokens that are still to come have no weight
            array = np.pad(array, ((0, 0), (0, 0), (0, self._tokens - array.shape[2])))
        tensor, start = layer_tensor(name, layer), self._rows.get((name, layer), 0)
        if not start:
            self._writer.add(tensor, (self._tokens, *array.shape[1:]))
        self._writer.write(tensor, start, array)
        self._rows[name, layer] = start + len(array)
        self.not_finite += array.size - int(np.count_nonzero(np.isfinite(array)))


class Several:
    """One tap of several."""

    def __init__(self, taps: Sequence[Tap]) -> None:
        self._taps = taps
        self.on_request = tuple({name for tap in taps for name in trace.ON_REQUEST if trace.asks(tap, name)})

    def __call__(self, name: str, layer: int | None, array: F32) -> None:
        for tap in self._taps:
            tap(name, layer, array)
