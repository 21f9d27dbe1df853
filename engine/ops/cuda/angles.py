"""The table of rotary angles that `rope` and `rope_append` read."""

from __future__ import annotations

import functools
import math
from typing import Any

from engine.ops.cuda import target
from engine.ops.rotary import PLAIN, Rotary, frequencies


# kept for ever, some 500 bytes each: a captured graph holds the address and not the table
@functools.cache
def quarters(head_dim: int, theta: float, device: str, rotary: Rotary = PLAIN) -> Any:  # noqa: ARG001 - per device
    """theta^(-2i / Dh), scaled as `rotary` says, in quarter turns: (Dh/2,) float64.

    Raises:
        ShapeError: `rotary` is for another Dh.
    """
    return target.put(frequencies(head_dim, theta, rotary) * (2 / math.pi))
