"""Deviations of ffn_swiglu by layer, and their ratios: only between equally many samples of the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine import trace
from engine.models.protocol import Model


@dataclass(frozen=True)
class Spread:
    """Of one side."""

    token_ids: tuple[int, ...]
    deviations: tuple[float, ...]
    """One for each layer."""
    samples: tuple[int, ...]
    """Values that each was taken over."""


@dataclass(frozen=True)
class Band:
    """Of two sides."""

    smallest: float
    largest: float
    layers: int
    unequal: int
    """Layers whose deviations are of different numbers of samples, or all of them if the tokens are others."""
    samples: int
    """Fewest of a layer."""


def spread(model: Model, token_ids: Sequence[int]) -> Spread:
    """One forward of all tokens, looked at where swiglu leaves for the next product."""
    seen = trace.Recorder()
    model.forward(token_ids, model.new_cache(len(token_ids)), tap=seen)
    arrays = [seen.tokens("swiglu", layer) for layer in range(model.config.num_layers)]
    deviations = tuple(float(np.std(array.astype(np.float64))) for array in arrays)
    return Spread(tuple(token_ids), deviations, tuple(array.size for array in arrays))


def band(ours: Spread, theirs: Spread) -> Band:
    """Of each layer's two deviations."""
    ratios = [a / b for a, b in zip(ours.deviations, theirs.deviations, strict=True)]
    unequal = sum(a != b for a, b in zip(ours.samples, theirs.samples, strict=True))
    if ours.token_ids != theirs.token_ids:
        unequal = len(ratios)
    return Band(min(ratios), max(ratios), len(ratios), unequal, min(*ours.samples, *theirs.samples))
