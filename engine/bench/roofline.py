"""How far a result is from what its place can do: flops per second over flops per byte.

roof(intensity) = min(read bandwidth * intensity, arithmetic)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.bench.figure import Figure
from engine.bench.report import Report


@dataclass(frozen=True, slots=True)
class Point:
    """One result."""

    subject: str
    figure: Figure
    intensity: float
    """Flops per byte that must be read."""
    flops_per_s: float


@dataclass(frozen=True, slots=True)
class Roof:
    """Limits of one place."""

    place: str
    bytes_per_s: float
    flops_per_s: float
    product: str

    @property
    def ridge(self) -> float:
        """Intensity from which on arithmetic is the limit."""
        return self.flops_per_s / self.bytes_per_s

    def at(self, intensity: float) -> float:
        """Flops per second at most."""
        return min(self.bytes_per_s * intensity, self.flops_per_s)

    def line(self, points: Sequence[Point]) -> list[tuple[float, float]]:
        """Corners of the roof over all points and its own ridge."""
        inside = [self.ridge, *(point.intensity for point in points)]
        ends = (min(inside) / 2, self.ridge, max(inside) * 2)
        return [(intensity, self.at(intensity)) for intensity in ends]


def points(report: Report) -> list[Point]:
    """One for each result."""
    return [Point(r.speed.subject, r.speed.figure, r.work.intensity, r.flops_per_s) for r in report.results]


def roofs(report: Report) -> list[Roof]:
    """One for each place."""
    return [
        Roof(place, limits.read_bandwidth.median, limits.arithmetic.median, limits.product)
        for place, limits in report.limits.items()
    ]
