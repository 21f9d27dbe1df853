"""Taps: looking at the arrays of the production forward without a second forward.

A model calls `tap(name, layer, array)` at each named place when a tap is set, and does nothing otherwise. The array
is the very one the next operation reads, so a tap must not write to it; `Recorder` keeps copies.

Names, in order (layer is None outside the layers):

    embedding
    attn_norm  q k v  q_bias k_bias v_bias  q_norm k_norm  q_rope k_rope  attn_out  attn_proj  attn_residual
    ffn_norm  gate up  swiglu  down  residual                                           (per layer)
    final_norm  logits

A step that an architecture does not have, a bias or a norm, leaves the array as it was before.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Recorder:
    """A tap that keeps a copy of every array, by (name, layer), over all forwards it saw."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[str, int | None], list[npt.NDArray[Any]]] = {}

    def __call__(self, name: str, layer: int | None, array: npt.NDArray[Any]) -> None:
        self.arrays.setdefault((name, layer), []).append(array.copy())

    def tokens(self, name: str, layer: int | None = None) -> npt.NDArray[Any]:
        """All tokens seen at one place, forwards concatenated along the token axis."""
        return np.concatenate(self.arrays[name, layer], axis=0)
