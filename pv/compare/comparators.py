"""The comparators: what they refuse, what they measure, and what they demand."""

from __future__ import annotations

import math
from types import ModuleType

from pv.compare import lists
from pv.compare.comparison import Comparison
from pv.compare.elements import LARGEST_EXACT_INTEGER, Elements, Unfit, is_same_memory, read

METRICS = ("max_abs", "max_rel", "mean_abs", "rms_abs", "rms_rel")
_UNITS = {"characters": "characters", "bytes": "bytes"}


def close(
    actual: object, expected: object, *, limit: float, metric: str = "max_abs", unit: str = "1", name: str = ""
) -> Comparison:
    """Demand that numbers are within a limit.

    Args:
        limit: finite, at least 0, in `unit`.
        metric: max_abs, max_rel, mean_abs, rms_abs or rms_rel; those with `rel` divide by `expected`, max_rel
            element by element.
        name: of the measured value; the metric without it.
    Raises:
        AssertionError, ValueError: see `pv.compare`.
    """
    return _demanded(measure_close(actual, expected, limit=limit, metric=metric, unit=unit, name=name))


def exact(actual: object, expected: object, *, name: str = "") -> Comparison:
    """Demand that numbers, text or bytes are equal, value for value; 0.0 equals -0.0.

    Raises:
        AssertionError, ValueError: see `pv.compare`.
    """
    return _demanded(measure_exact(actual, expected, name=name))


def cosine(actual: object, expected: object, *, limit: float, name: str = "") -> Comparison:
    """Demand that two vectors, of at least two elements, point the same way; their lengths do not matter.

    Args:
        limit: the least cosine, above 0 and at most 1.
    Raises:
        AssertionError, ValueError: see `pv.compare`.
    """
    return _demanded(measure_cosine(actual, expected, limit=limit, name=name))


def kl(actual: object, expected: object, *, limit: float, name: str = "") -> Comparison:
    """Demand that KL(softmax(expected) || softmax(actual)) is within a limit for every row of logits.

    Args:
        actual, expected: logits, the last axis over at least two tokens.
        limit: in nats.
    Raises:
        AssertionError, ValueError: see `pv.compare`.
    """
    return _demanded(measure_kl(actual, expected, limit=limit, name=name))


def measure_close(
    actual: object, expected: object, *, limit: float, metric: str = "max_abs", unit: str = "1", name: str = ""
) -> Comparison:
    """As `close`, without demanding the limit."""
    if metric not in METRICS:
        raise ValueError(f"pv.close: metric {metric!r} is not known; expected one of {', '.join(METRICS)}")
    most = _limit("pv.close", limit)
    a, e = _pair("pv.close", actual, expected, numbers_only=True)
    if metric == "rms_rel" and not any(map(bool, e.flat)):
        raise ValueError("pv.close: expected is 0 everywhere, so rms_rel has no scale; use rms_abs")
    value, worst = _arithmetic(a).distance(metric, a.flat, e.flat)
    return _comparison(name or metric, metric, value, most, unit, "at_most", a, e, worst)


def measure_exact(actual: object, expected: object, *, name: str = "") -> Comparison:
    """As `exact`, without demanding it."""
    a, e = _pair("pv.exact", actual, expected, numbers_only=False)
    count, first = _arithmetic(a).differing(a.flat, e.flat)
    unit = _UNITS.get(a.kind, "elements")
    return _comparison(name or f"{unit} that differ", "differing", count, 0.0, unit, "at_most", a, e, first)


def measure_cosine(actual: object, expected: object, *, limit: float, name: str = "") -> Comparison:
    """As `cosine`, without demanding the limit."""
    least = _limit("pv.cosine", limit)
    if not 0 < least <= 1:
        raise ValueError(f"pv.cosine: limit {least:g} proves nothing; expected above 0 and at most 1")
    a, e = _pair("pv.cosine", actual, expected, numbers_only=True)
    if e.count < 2 or not any(map(bool, e.flat)):
        raise ValueError("pv.cosine: expected needs at least two elements that are not all 0, to have a direction")
    value, worst = _arithmetic(a).cosine(a.flat, e.flat)
    return _comparison(name or "cosine", "cosine", value, least, "1", "at_least", a, e, worst)


def measure_kl(actual: object, expected: object, *, limit: float, name: str = "") -> Comparison:
    """As `kl`, without demanding the limit."""
    most = _limit("pv.kl", limit)
    a, e = _pair("pv.kl", actual, expected, numbers_only=True)
    if not e.shape or e.shape[-1] < 2:
        raise ValueError(f"pv.kl: expected has shape {list(e.shape)}; its last axis needs at least two logits")
    value, worst = _arithmetic(a).kl(a.flat, e.flat, e.shape[-1])
    return _comparison(name or "kl", "kl", value, most, "nat", "at_most", a, e, worst)


def _demanded(comparison: Comparison) -> Comparison:
    if not comparison.holds:
        raise AssertionError(comparison.message())
    return comparison


def _limit(what: str, limit: object) -> float:
    try:
        found = read(limit)
    except Unfit:
        found = None
    if found is None or found.shape or found.kind not in ("floats", "integers"):
        raise ValueError(f"{what}: limit is {type(limit).__name__}, expected a number")
    number = float(found.at(0))
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{what}: limit is {number}, expected a finite number, at least 0")
    return number


def _pair(what: str, actual: object, expected: object, *, numbers_only: bool) -> tuple[Elements, Elements]:
    """Both sides, read and fit for each other; as arrays if either is one.

    Raises:
        AssertionError: `actual` is unfit.
        ValueError: `expected` is unfit, or both are the same object.
    """
    if is_same_memory(actual, expected):
        raise ValueError(f"{what}: actual and expected are the same object, so nothing is compared")
    try:
        e = read(expected)
        _check(e, numbers_only=numbers_only)
    except Unfit as err:
        raise ValueError(f"{what}: expected: {err}") from err
    try:
        a = read(actual)
        if a.kind != e.kind:
            raise Unfit(f"{a.kind}, expected {e.kind}")
        if a.shape != e.shape:
            raise Unfit(f"shape {list(a.shape)}, expected {list(e.shape)}; nothing is broadcast")
        _check(a, numbers_only=numbers_only)
    except Unfit as err:
        raise AssertionError(f"{what}: actual: {err}") from err
    if a.is_array != e.is_array and a.kind in ("floats", "integers", "booleans"):
        a, e = _as_array(a), _as_array(e)
    return a, e


def _check(elements: Elements, *, numbers_only: bool) -> None:
    if not elements.count:
        raise Unfit(f"empty, shape {list(elements.shape)}; comparing nothing proves nothing")
    if numbers_only and elements.kind not in ("floats", "integers"):
        raise Unfit(f"{elements.kind}, which have no distance; use pv.exact")
    position = elements.first_not_finite()
    if position is not None:
        raise Unfit(f"{elements.at(position)} at {list(elements.index(position))}, expected finite numbers")
    if numbers_only and elements.kind == "integers":
        largest = max(abs(int(elements.flat.min())), int(elements.flat.max())) if elements.is_array else (
            max(map(abs, elements.flat))
        )  # fmt: skip
        if largest > LARGEST_EXACT_INTEGER:
            raise Unfit(f"integer {largest} is above 2**53, where float64 has gaps; use pv.exact")


def _as_array(elements: Elements) -> Elements:
    if elements.is_array:
        return elements
    import numpy as np

    # Integers of any size keep their value as objects; floats are float64 already.
    types = {"floats": np.float64, "booleans": np.bool_, "integers": object}
    return Elements(elements.shape, elements.kind, np.array(elements.flat, dtype=types[elements.kind]))


def _arithmetic(elements: Elements) -> ModuleType:
    if not elements.is_array:
        return lists
    from pv.compare import arrays

    return arrays


def _comparison(
    name: str, metric: str, value: float, limit: float, unit: str, bound: str, a: Elements, e: Elements, worst: int
) -> Comparison:
    if not isinstance(name, str) or not name.strip() or not isinstance(unit, str) or not unit:
        raise ValueError(f"pv.{metric}: a measured value needs a name and a unit; a pure ratio has unit '1'")
    return Comparison(name, metric, float(value), limit, unit, bound, a.count, a.index(worst), a.at(worst), e.at(worst))
