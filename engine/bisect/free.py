"""Whole forwards beside each other: errors add up from place to place, and so do the floors.

The floor of a place is what the witnesses of a precision, run through the whole model, are away from float64 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from engine.bisect.distance import Extent, Yardstick
from engine.bisect.double import Double, OneForward
from engine.bisect.places import Place, rows, with_ops
from engine.bisect.store import Store
from engine.bisect.witness import Precision
from engine.models.protocol import Model
from engine.ops.protocol import Ops
from engine.trace import Tap

Noise = dict[Place, tuple[Extent, ...]]


def golden(model: Model, token_ids: Sequence[int], store: Store) -> None:
    """The forward in float64, its taps kept."""
    _forward(model, cast("Ops", Double()), token_ids, store)


def noise(model: Model, token_ids: Sequence[int], precision: Precision, right: Store) -> Noise:
    """Distances of a precision's witnesses from the golden forward, at every place; computed as they run."""
    found: Noise = {}
    for witness in precision.witnesses():
        _forward(model, cast("Ops", witness), token_ids, _Against(right, len(token_ids), found))
    return found


class _Against:
    """A tap that keeps distances and no arrays."""

    def __init__(self, right: Store, tokens: int, found: Noise) -> None:
        self._right, self._tokens, self._found = right, tokens, found

    def __call__(self, name: str, layer: int | None, array: npt.NDArray[Any]) -> None:
        place = Place(layer, name)
        far = Yardstick(self._right.read(place)).distance(rows(array, self._tokens)).extent
        self._found[place] = (*self._found.get(place, ()), far)


def _forward(model: Model, ops: Ops, token_ids: Sequence[int], tap: Tap) -> None:
    with np.errstate(all="ignore"):
        with_ops(model, ops, lambda: model.forward(list(token_ids), OneForward.of(model), tap=tap))
