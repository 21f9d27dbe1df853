"""The table of rotary angles that `rope` and `rope_append` read."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from engine.ops.cuda import target


@functools.lru_cache(maxsize=16)
def quarters(head_dim: int, theta: float, device: str) -> Any:  # noqa: ARG001 - one table per device
    """theta^(-2i / Dh) in quarter turns: (Dh/2,) float64."""
    return target.put(np.power(theta, -np.arange(head_dim // 2) * 2.0 / head_dim) * (2 / math.pi))
