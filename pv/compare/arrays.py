"""The arithmetic of the comparators over numpy arrays of one dimension; what `pv.compare.lists` says of it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


def differing(actual: Values, expected: Values) -> tuple[int, int]:
    # Signed beside unsigned would be compared as float64, in which neighbours above 2**53 are equal.
    mixed = actual.dtype.kind in "iu" and actual.dtype != expected.dtype
    unequal = actual.astype(object) != expected.astype(object) if mixed else actual != expected
    return int(np.count_nonzero(unequal)), int(np.argmax(unequal))


def distance(metric: str, actual: Values, expected: Values) -> tuple[float, int]:
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    with np.errstate(all="ignore"):
        errors = np.abs(a - e)
        if metric == "max_rel":
            errors = np.where(errors == 0, 0.0, errors / np.abs(e))
        worst = int(np.argmax(errors))
        largest = float(errors[worst])
        if metric in ("max_abs", "max_rel") or np.isinf(largest):
            return largest, worst
        if metric == "mean_abs":
            return float(np.sum(errors / errors.size)), worst
        if metric == "rms_abs":
            return _length(errors) / float(np.sqrt(errors.size)), worst
        return float(np.float64(_length(errors)) / np.float64(_length(e))), worst


def cosine(actual: Values, expected: Values) -> tuple[float, int]:
    a, e = _unit(actual.astype(np.float64)), _unit(expected.astype(np.float64))
    return float(np.clip(np.sum(a * e), -1.0, 1.0)), int(np.argmax(np.abs(a - e)))


def kl(actual: Values, expected: Values, width: int) -> tuple[float, int]:
    with np.errstate(all="ignore"):
        log_a, log_e = (_log_softmax(values.astype(np.float64).reshape(-1, width)) for values in (actual, expected))
        probability = np.exp(log_e)
        terms = np.where(probability == 0, 0.0, probability * (log_e - log_a))
    rows = np.maximum(terms.sum(axis=1), 0.0)
    row = int(np.argmax(rows))
    return float(rows[row]), row * width + int(np.argmax(np.abs(terms[row])))


def _length(values: Values) -> float:
    largest = float(np.max(np.abs(values)))
    return largest * float(np.sqrt(np.sum((values / largest) ** 2))) if largest else 0.0


def _unit(values: Values) -> Values:
    largest = np.max(np.abs(values))
    if not largest:
        return np.zeros_like(values)
    scaled = values / largest
    unit: Values = scaled / np.sqrt(np.sum(scaled**2))
    return unit


def _log_softmax(rows: Values) -> Values:
    shifted = rows - rows.max(axis=1, keepdims=True)
    result: Values = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
