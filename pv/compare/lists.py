"""The arithmetic of the comparators over plain lists; `pv.compare.arrays` repeats it with numpy.

Every function gives a value and the flat position of its worst element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Values = Sequence[float]


def differing(actual: Sequence[object], expected: Sequence[object]) -> tuple[int, int]:
    """Number of elements that differ, and the first of them."""
    wrong = [position for position, (a, e) in enumerate(zip(actual, expected, strict=True)) if a != e]
    return len(wrong), wrong[0] if wrong else 0


def distance(metric: str, actual: Values, expected: Values) -> tuple[float, int]:
    errors = [abs(float(a) - float(e)) for a, e in zip(actual, expected, strict=True)]
    if metric == "max_rel":
        errors = [_share(error, float(e)) for error, e in zip(errors, expected, strict=True)]
    worst = max(range(len(errors)), key=errors.__getitem__)
    if metric in ("max_abs", "max_rel") or math.isinf(errors[worst]):
        return errors[worst], worst
    if metric == "mean_abs":
        return math.fsum(error / len(errors) for error in errors), worst
    if metric == "rms_abs":
        return math.hypot(*errors) / math.sqrt(len(errors)), worst
    return math.hypot(*errors) / math.hypot(*expected), worst


def cosine(actual: Values, expected: Values) -> tuple[float, int]:
    """0 for a vector of zeros, which has no direction."""
    a, e = _unit(actual), _unit(expected)
    gaps = [abs(x - y) for x, y in zip(a, e, strict=True)]
    similarity = math.fsum(x * y for x, y in zip(a, e, strict=True))
    return max(-1.0, min(1.0, similarity)), max(range(len(gaps)), key=gaps.__getitem__)


def kl(actual: Values, expected: Values, width: int) -> tuple[float, int]:
    """The largest sum of p_e * ln(p_e / p_a) over rows of `width` logits, in nats."""
    found = (-1.0, 0)
    for start in range(0, len(actual), width):
        log_a = _log_softmax(actual[start : start + width])
        log_e = _log_softmax(expected[start : start + width])
        terms = [_term(x, y) for x, y in zip(log_a, log_e, strict=True)]
        worst = max(range(width), key=lambda position: abs(terms[position]))
        found = max(found, (max(0.0, math.fsum(terms)), start + worst), key=lambda item: item[0])
    return found


def _share(error: float, expected: float) -> float:
    if expected:
        return error / abs(expected)
    return math.inf if error else 0.0


def _unit(values: Values) -> list[float]:
    # Scaled first: the square of a large float64 is infinite, and that of a small one 0.
    largest = max(abs(float(value)) for value in values)
    scaled = [value / largest if largest else 0.0 for value in values]
    length = math.hypot(*scaled)
    return [value / length if length else 0.0 for value in scaled]


def _log_softmax(logits: Values) -> list[float]:
    largest = max(logits)
    total = math.log(math.fsum(math.exp(value - largest) for value in logits))
    return [value - largest - total for value in logits]


def _term(log_a: float, log_e: float) -> float:
    probability = math.exp(log_e)
    return probability * (log_e - log_a) if probability else 0.0
