"""What a rotary position does beside its base: which elements are pairs, and how scaling changes the angles.

Pair i turns by position * theta^(-2i/Dh) * factors[i] radians, and is multiplied by magnitude.

    halves      the pair is (x[i], x[i + Dh/2])       GPT-NeoX; qwen2, qwen3
    adjacent    the pair is (x[2i], x[2i + 1])        Llama's original code, and its GGUF files
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import ShapeError


@dataclass(frozen=True, slots=True)
class Rotary:
    """Of one model; hashable, so that a backend can keep a table for it."""

    factors: tuple[float, ...] = ()
    """(Dh/2,): of each pair's angle; empty: 1 everywhere."""
    magnitude: float = 1.0
    """Of each turned pair; other than 1 in YaRN."""
    adjacent: bool = False


PLAIN = Rotary()


@functools.lru_cache(maxsize=16)
def frequencies(head_dim: int, theta: float, rotary: Rotary = PLAIN) -> npt.NDArray[np.float64]:
    """Radians per position of each pair: (Dh/2,), read-only.

    Raises:
        ShapeError: there are factors, but not Dh/2 of them.
    """
    half = head_dim // 2
    if rotary.factors and len(rotary.factors) != half:
        raise ShapeError(f"rope: {len(rotary.factors)} factors for {half} pairs")
    found: npt.NDArray[np.float64] = np.power(float(theta), -np.arange(half) * 2.0 / head_dim)
    if rotary.factors:
        found *= np.array(rotary.factors)
    found.flags.writeable = False
    return found
