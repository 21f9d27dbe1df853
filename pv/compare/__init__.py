"""Comparators that state the worst element, and that nothing vacuous can pass.

    close    numbers within a limit: max_abs, max_rel, mean_abs, rms_abs, rms_rel
    exact    numbers, text or bytes equal, value for value
    cosine   direction of two vectors
    kl       divergence of the distributions behind two rows of logits

Whose fault it is decides what is raised:

    actual is beyond the limit, has another shape or kind than expected,
    is not made of numbers, holds NaN or an infinity                        AssertionError: the claim is refuted
    expected is empty, holds NaN or an infinity, is not made of numbers;
    the limit is not finite or proves nothing; both are one object;
    the metric or the name is unknown or missing                            ValueError: the falsifier is wrong

Values are read by their exact types, so an object that is equal to everything is no number and no list here, and
nothing is broadcast. The standard library is enough for lists; numpy arrays are compared by numpy.
"""

from __future__ import annotations

from pv.compare.comparators import (
    close,
    cosine,
    exact,
    kl,
    measure_close,
    measure_cosine,
    measure_exact,
    measure_kl,
)
from pv.compare.comparison import Comparison

__all__ = [
    "Comparison",
    "close",
    "cosine",
    "exact",
    "kl",
    "measure_close",
    "measure_cosine",
    "measure_exact",
    "measure_kl",
]
