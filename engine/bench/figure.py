"""What is measured, and what was found: raw samples, always all of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

Kind = Literal["prefill", "decode"]


@dataclass(frozen=True, slots=True)
class Figure:
    """Prefill of `tokens` tokens into an empty cache, or decode behind `tokens` tokens that the cache holds."""

    kind: Kind
    tokens: int

    def __str__(self) -> str:
        return f"{self.kind} {'of' if self.kind == 'prefill' else 'at'} {self.tokens}"

    def positions(self, new_tokens: int) -> int:
        """Slots of the cache that one run takes."""
        return self.tokens if self.kind == "prefill" else self.tokens + new_tokens


@dataclass(frozen=True, slots=True)
class Samples:
    """Measurements of one quantity in the order they were taken."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def times(self, factor: float) -> Samples:
        return Samples(tuple(value * factor for value in self.values))

    def over(self, other: Samples) -> Samples:
        """Ratios within each round."""
        return Samples(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of one figure on one subject."""

    subject: str
    figure: Figure
    samples: Samples


@dataclass(frozen=True, slots=True)
class Left:
    """A figure that was not measured."""

    subject: str
    figure: Figure
    reason: str
