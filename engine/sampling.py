"""Choosing the next token from logits.

    p = softmax(logits / temperature)          temperature 0: the token of the largest logit, nothing is random
    top_k    keep the k most probable tokens                                     0: all
    top_p    keep the smallest set of most probable tokens with sum >= top_p     1: all
    min_p    keep tokens with probability >= min_p times the largest             0: all

The filters apply one after another in this order, each to what the one before left, renormalised; then one draw.
Ties keep the lower token id.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import SamplingError

F32 = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Parameters of one generation; the default is greedy."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    """None draws a fresh seed, which the run record states."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise SamplingError(f"temperature is {self.temperature}, must be finite and >= 0")
        if self.top_k < 0:
            raise SamplingError(f"top-k is {self.top_k}, must be >= 0 (0: all tokens)")
        if not 0 < self.top_p <= 1:
            raise SamplingError(f"top-p is {self.top_p}, must be in (0, 1] (1: all tokens)")
        if not 0 <= self.min_p <= 1:
            raise SamplingError(f"min-p is {self.min_p}, must be in [0, 1] (0: all tokens)")
        if self.seed is not None and self.seed < 0:
            raise SamplingError(f"seed is {self.seed}, must be >= 0")

    @property
    def greedy(self) -> bool:
        """Whether the largest logit wins and nothing is random."""
        return self.temperature == 0

    def seeded(self) -> Sampling:
        """The same with a seed: its own, or a fresh one where something is random."""
        if self.greedy or self.seed is not None:
            return self
        return Sampling(**{**asdict(self), "seed": int(np.random.SeedSequence().generate_state(1)[0])})


def generator(params: Sampling) -> np.random.Generator:
    """The random numbers of one generation."""
    return np.random.Generator(np.random.PCG64(params.seed))


def sample(logits: F32, params: Sampling, rng: np.random.Generator | None = None) -> int:
    """One token id.

    Args:
        logits: (V,).
        rng: needed unless params are greedy.

    Raises:
        SamplingError: a logit is NaN or plus infinity, or all are minus infinity; or random numbers are missing.
    """
    largest = float(np.max(logits))  # NaN if any logit is
    if not math.isfinite(largest):
        raise SamplingError(f"largest logit is {largest}; the model or its file is broken")
    if params.greedy:
        return int(np.argmax(logits))
    if rng is None:
        raise SamplingError(f"temperature is {params.temperature}, which takes random numbers; got none")
    ids, probabilities = candidates(logits, params)
    # One uniform number against the cumulative sum: the same seed gives the same token on every platform.
    point = rng.random() * probabilities.sum()
    index = int(np.searchsorted(np.cumsum(probabilities), point, side="right"))
    return int(ids[min(index, len(ids) - 1)])


def candidates(logits: F32, params: Sampling) -> tuple[Ids, Probabilities]:
    """Token ids that may be drawn, most probable first, and their probabilities, which sum to 1.

    Args:
        params: temperature > 0.
    """
    # Stable on the negated logits: ties keep the lower id.
    ids = np.argsort(-logits, kind="stable").astype(np.int64)
    below = logits[ids].astype(np.float64) - float(logits[ids[0]])
    with np.errstate(over="ignore"):  # -1 / 1e-310 = -inf, of which exp is the right limit, 0
        probabilities = _normalised(np.exp(below / params.temperature))
    for keep in (_top_k, _top_p, _min_p):
        count = keep(probabilities, params)
        ids, probabilities = ids[:count], _normalised(probabilities[:count])
    return ids, probabilities


def _normalised(weights: Probabilities) -> Probabilities:
    normalised: Probabilities = weights / weights.sum()
    return normalised


def _top_k(probabilities: Probabilities, params: Sampling) -> int:
    return min(params.top_k, len(probabilities)) if params.top_k else len(probabilities)


def _top_p(probabilities: Probabilities, params: Sampling) -> int:
    if params.top_p >= 1:
        return len(probabilities)
    return min(int(np.searchsorted(np.cumsum(probabilities), params.top_p, side="left")) + 1, len(probabilities))


def _min_p(probabilities: Probabilities, params: Sampling) -> int:
    return int(np.count_nonzero(probabilities >= params.min_p * probabilities[0]))
