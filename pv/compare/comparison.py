"""What a comparison measured."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    name: str
    metric: str
    value: float
    """Infinite where the error has no bound, such as a relative error against 0."""
    limit: float
    unit: str
    bound: str
    """`at_most` or `at_least`."""
    count: int
    """Elements compared."""
    index: tuple[int, ...]
    """Of the worst element; empty for a single value."""
    actual: object
    """The worst element as it is."""
    expected: object
    """The worst element as it should be."""

    @property
    def holds(self) -> bool:
        if not math.isfinite(self.value):
            return False
        return self.value <= self.limit if self.bound == "at_most" else self.value >= self.limit

    @property
    def margin(self) -> float | None:
        """Share of the limit that is left, negative beyond it; None for a limit of 0 or an error without bound."""
        if self.limit == 0 or not math.isfinite(self.value):
            return None
        room = self.limit - self.value if self.bound == "at_most" else self.value - self.limit
        return room / self.limit

    @property
    def recorded(self) -> float:
        """The value as evidence keeps it; an error without bound is the largest float64."""
        return self.value if math.isfinite(self.value) else sys.float_info.max

    def message(self) -> str:
        """One line: value, limit, margin, and the worst element with its place."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        text = f"{self.name} = {self.value:.6g}{unit}, expected {self.bound.replace('_', ' ')} {self.limit:.6g}"
        if self.margin is not None:
            text += f" (margin {100 * self.margin:.3g} %)"
        place = f" at {list(self.index)}" if self.index else ""
        worst = f"worst of {self.count} elements{place}" if self.count > 1 else "the one element"
        return f"{text}; {worst}: {_shown(self.actual)}, expected {_shown(self.expected)}"


def _shown(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else repr(value)
