"""How far apart two arrays of one place are, position by position.

Each element's difference is taken over hypot(|e|, m): e the element expected, m the median size of its row. So a
channel 26 times the others counts by its relative error and hides nothing in the others, and a channel near 0 counts by
what is usual in its row. Of these, per position: the root mean square over channels, which sees what is a little wrong
everywhere, and the largest, which sees one wrong channel among thousands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

ROUNDINGS = 4 * 2.0**-24
"""The least floor of any place: four roundings of a float32, where an operation has only one or two."""

MARGIN = 3.0
"""A floor is this many times the largest distance among right computations. Right backends that are none of the
witnesses were seen to reach 1.2 of it (`tests/bench/bisect_study.py` measures it); this is more than twice that."""


@dataclass(frozen=True, slots=True)
class Distance:
    """Of (T, N) arrays; a row that differs in what is finite is infinitely far."""

    rms: F64
    """(T,)"""
    largest: F64
    """(T,)"""
    channel: npt.NDArray[np.int64]
    """(T,): where the largest is."""

    @property
    def extent(self) -> Extent:
        """Over all positions."""
        return Extent(float(self.rms.max()), float(self.largest.max()))


@dataclass(frozen=True, slots=True)
class Extent:
    """The most that a distance reaches."""

    rms: float
    largest: float


@dataclass(frozen=True, slots=True)
class Floor:
    """What noise may reach at one place."""

    rms: float
    largest: float

    @classmethod
    def of(cls, noise: Iterable[Extent], margin: float) -> Floor:
        """From distances among right computations."""
        found = [Extent(ROUNDINGS, ROUNDINGS), *noise]
        return cls(margin * max(far.rms for far in found), margin * max(far.largest for far in found))

    @classmethod
    def of_difference(cls, a: Floor, b: Floor) -> Floor:
        """Of the difference of two independent noises."""
        return cls(math.hypot(a.rms, b.rms), math.hypot(a.largest, b.largest))


@dataclass(frozen=True, slots=True)
class Excess:
    """A distance in units of its floor; above 1 is more than noise."""

    times: float
    """The worst position's."""
    position: int
    """The first position above 1, or the worst if none is."""
    channel: int
    """Of the largest difference there."""
    rms: float
    largest: float
    """Distances there."""

    @classmethod
    def of(cls, distance: Distance, floor: Floor) -> Excess:
        times = np.maximum(distance.rms / floor.rms, distance.largest / floor.largest)
        above = np.flatnonzero(~(times <= 1))
        position = int(above[0]) if above.size else int(times.argmax())
        return cls(
            float(times.max()),
            position,
            int(distance.channel[position]),
            float(distance.rms[position]),
            float(distance.largest[position]),
        )

    @property
    def is_noise(self) -> bool:
        return self.times <= 1


class Yardstick:
    """What is expected at one place, and how large a difference is there."""

    def __init__(self, expected: npt.NDArray[Any]) -> None:
        """Args:
        expected: (T, N), T and N at least 1.
        """
        self._expected = expected
        with np.errstate(invalid="ignore", over="ignore"):
            self._right = expected.astype(np.float64)
            size = np.abs(self._right)
            usual = np.median(size, axis=1, keepdims=True)
            usual = np.where(usual > 0, usual, np.sqrt(np.mean(np.square(size), axis=1, keepdims=True)))
            scale = np.hypot(size, usual)
            self.scale = np.where(scale > 0, scale, 1.0)

    def distance(self, x: npt.NDArray[Any]) -> Distance:
        """Of x (T, N) to what is expected."""
        assert x.shape == self._expected.shape, (x.shape, self._expected.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(x - self._right) / self.scale
            if not np.isfinite(apart).all():
                # equal infinities are equal; an infinity or NaN beside anything else is infinitely far
                same = (x == self._expected) | (np.isnan(x) & np.isnan(self._expected))
                apart = np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))
            rms = np.sqrt(np.mean(np.square(apart), axis=1))
        channel = apart.argmax(axis=1)
        return Distance(rms, np.take_along_axis(apart, channel[:, None], axis=1)[:, 0], channel)
