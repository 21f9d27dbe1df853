"""Taps: looking at the arrays of the production forward without a second forward.

A model calls `tap(name, layer, array)` at each named place when a tap is set, and does nothing otherwise. The array
is the very one the next operation reads, so a tap must not write to it; `Recorder` keeps copies.

Names, in order (layer is None outside the layers):

    embedding
    attn_norm  q k v  q_bias k_bias v_bias  q_norm k_norm  q_rope k_rope  scores  attn_out  attn_proj  attn_residual
    ffn_norm  gate up  swiglu  down  residual                                           (per layer)
    final_norm  logits

A step that an architecture does not have, a bias or a norm, leaves the array as it was before.

`scores` are for a tap that asks for them in an attribute `on_request`, see `asks`: the weight (T, H, S) that each
query gives to slots 0..S-1. No kernel keeps them, so the attention of the backend runs once more for them, on values
that are 1 at one slot; see `engine.ops.weighing`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt

Tap = Callable[[str, int | None, npt.NDArray[Any]], None]

MODEL_TAPS = ("embedding", "final_norm", "logits")
LAYER_TAPS = (
    "attn_norm",
    "q",
    "k",
    "v",
    "q_bias",
    "k_bias",
    "v_bias",
    "q_norm",
    "k_norm",
    "q_rope",
    "k_rope",
    "attn_out",
    "attn_proj",
    "attn_residual",
    "ffn_norm",
    "gate",
    "up",
    "swiglu",
    "down",
    "residual",
)
ON_REQUEST = ("scores",)
"""Places of a layer that cost work of their own."""

_BEFORE = LAYER_TAPS.index("attn_out")
ORDER = (MODEL_TAPS[0], *LAYER_TAPS[:_BEFORE], *ON_REQUEST, *LAYER_TAPS[_BEFORE:], *MODEL_TAPS[1:])
"""Every name, as the values flow."""


def asks(tap: Tap, name: str) -> bool:
    """Whether a tap asks for one of `ON_REQUEST`."""
    return name in getattr(tap, "on_request", ())


class Recorder:
    """A tap that keeps a copy of every array, by (name, layer), over all forwards it saw."""

    def __init__(self, on_request: Collection[str] = ()) -> None:
        self.on_request = on_request
        self.arrays: dict[tuple[str, int | None], list[npt.NDArray[Any]]] = {}

    def __call__(self, name: str, layer: int | None, array: npt.NDArray[Any]) -> None:
        self.arrays.setdefault((name, layer), []).append(array.copy())

    def tokens(self, name: str, layer: int | None = None) -> npt.NDArray[Any]:
        """All tokens seen at one place, forwards concatenated along the token axis."""
        return np.concatenate(self.arrays[name, layer], axis=0)
