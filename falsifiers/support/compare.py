"""Comparing arrays so that neither NaN, nor a wrong shape, nor nothing at all can pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def mismatches(actual: npt.ArrayLike, expected: npt.ArrayLike) -> int:
    """Number of elements that differ in value; +0 equals -0, NaN equals nothing."""
    a, e = _pair(actual, expected)
    return int(np.count_nonzero(~(a == e)))


def bit_mismatches(actual: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> int:
    """Number of float32 elements whose bits differ."""
    a, e = _pair(actual, expected)
    assert a.dtype == e.dtype == np.float32, f"dtypes {a.dtype} and {e.dtype}, expected float32"
    return int(np.count_nonzero(np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(e).view(np.uint32)))


def worst_error(actual: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Largest absolute difference, in float64."""
    a, e = _finite_pair(actual, expected)
    return float(np.max(np.abs(a - e)))


def worst_share(actual: npt.ArrayLike, expected: npt.ArrayLike, scale: npt.ArrayLike) -> float:
    """Largest absolute difference as a share of `scale`, which is positive and broadcasts."""
    a, e = _finite_pair(actual, expected)
    return float(np.max(np.abs(a - e) / np.asarray(scale, dtype=np.float64)))


def _pair(actual: npt.ArrayLike, expected: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    a, e = np.asarray(actual), np.asarray(expected)
    assert a.shape == e.shape, f"shape {a.shape}, expected {e.shape}"
    assert a.size > 0, "nothing to compare"
    return a, e


def _finite_pair(
    actual: npt.ArrayLike, expected: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    a, e = _pair(actual, expected)
    assert np.isfinite(a).all(), f"{np.count_nonzero(~np.isfinite(a))} of {a.size} values are not finite"
    assert np.isfinite(e).all(), "the expected values are not finite"
    return a.astype(np.float64), e.astype(np.float64)
