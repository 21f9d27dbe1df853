"""What a tap shows in figures: one pass, with memory for the channels and not for the tokens.

A channel is a place in the row of one token. An outlier channel has an rms over the tokens of at least 6 times the
median channel's: some models have one of 26 times, and 8-bit activations lose the others beside it.
Attention scores are over the slots that a query can see, and have no channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.ops.protocol import F32

FIRST = 5
OUTLIER = 6.0
"""Times the median channel's rms."""

# 2^20 values are 8 MiB as float64; the logits of 256 tokens would be 300.
_VALUES_AT_ONCE = 1 << 20

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """One place over all tokens; figures are of the finite values."""

    shape: tuple[int, ...]
    """Of all tokens together."""
    values: int
    not_finite: int
    mean: float
    std: float
    min: float
    max: float
    first: tuple[float, ...]
    """Of the first token."""
    outliers: tuple[tuple[int, float], ...]
    """Channels, and their rms over the median channel's; the largest first."""


class Statistics:
    """One place, chunk by chunk."""

    def __init__(self) -> None:
        self._tokens = 0
        self._row: tuple[int, ...] = ()
        self._values = self._finite = 0
        self._mean = self._square_deviations = 0.0
        self._min, self._max = np.inf, -np.inf
        self._first: tuple[float, ...] = ()
        self._channels: F64 = np.zeros(0)

    def add(self, array: F32) -> None:
        """Rows (T, ...) of the next tokens."""
        if not self._tokens:
            self._row = array.shape[1:]
            self._first = tuple(array.reshape(-1)[:FIRST].tolist())
            self._channels = np.zeros(array[0].size)
        self._tokens += len(array)
        at_once = max(1, _VALUES_AT_ONCE // max(1, self._channels.size))
        for start in range(0, len(array), at_once):
            rows = array[start : start + at_once].reshape(-1, self._channels.size).astype(np.float64)
            is_finite = np.isfinite(rows)
            self._channels += np.square(rows, out=np.zeros_like(rows), where=is_finite).sum(axis=0)
            self._count(rows.ravel() if is_finite.all() else rows[is_finite], rows.size)

    def add_scores(self, weights: F32) -> None:
        """Weights (T, H, S) of the next T tokens, the last of which has the position S - 1."""
        if not self._tokens:
            self._first = tuple(weights.reshape(-1)[:FIRST].tolist())
        tokens, heads, slots = weights.shape
        self._tokens += tokens
        self._row = (heads, slots)
        seen = np.tri(tokens, slots, slots - tokens, dtype=bool)
        visible = weights.transpose(0, 2, 1)[seen].astype(np.float64).ravel()
        self._count(visible[np.isfinite(visible)], visible.size)

    def summary(self) -> Summary:
        """Of everything that was added."""
        has_any = self._finite > 0
        return Summary(
            shape=(self._tokens, *self._row),
            values=self._values,
            not_finite=self._values - self._finite,
            mean=float(self._mean) if has_any else float("nan"),
            std=float(np.sqrt(self._square_deviations / self._finite)) if has_any else float("nan"),
            min=float(self._min) if has_any else float("nan"),
            max=float(self._max) if has_any else float("nan"),
            first=self._first,
            outliers=self._outliers(),
        )

    def _count(self, finite: F64, values: int) -> None:
        """Join count, mean and sum of squared deviations of two parts: no difference of large squares."""
        self._values += values
        if not finite.size:
            return
        count, mean = self._finite + finite.size, float(finite.mean())
        apart = mean - self._mean
        self._square_deviations += float(np.square(finite - mean).sum())
        self._square_deviations += apart * apart * self._finite * finite.size / count
        self._mean += apart * finite.size / count
        self._finite = count
        self._min, self._max = min(self._min, float(finite.min())), max(self._max, float(finite.max()))

    def _outliers(self) -> tuple[tuple[int, float], ...]:
        if not self._channels.size or not self._tokens:
            return ()
        rms = np.sqrt(self._channels / self._tokens)
        median = float(np.median(rms))
        if not median > 0:
            return ()
        times: Any = rms / median
        order = np.argsort(-times, kind="stable")
        return tuple((int(i), float(times[i])) for i in order if times[i] >= OUTLIER)
