"""Intervals beside published figures and sums by hand."""

from __future__ import annotations

from math import sqrt

import pytest

from engine.parity import estimate


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_score_intervals_of_newcombe(hits: int, count: int, low: float, high: float):
    """R. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3."""
    assert estimate.wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_all_of_all_is_not_certainty():
    """By symmetry with none of 20."""
    assert estimate.wilson(20, 20) == pytest.approx((1 - 0.1611, 1.0), abs=5e-5)


@pytest.mark.parametrize(
    ("degrees", "point"), [(1, 12.706), (5, 2.571), (20, 2.086), (21, 2.080), (30, 2.042), (60, 2.000), (120, 1.980)]
)
def test_points_of_students_t(degrees: int, point: float):
    """As printed in tables."""
    assert estimate.t(degrees) == pytest.approx(point, abs=1e-3)


def test_clusters_of_one_size_by_hand():
    """Means 2 and 6, their standard deviation sqrt(8), over sqrt(2): 2."""
    found = estimate.mean([[1, 3], [5, 7]])
    assert found is not None
    assert (found.mean, found.clusters) == (4, 2)
    assert found.standard_error == pytest.approx(2)
    assert (found.low, found.high) == pytest.approx((4 - 12.706 * 2, 4 + 12.706 * 2))


def test_clusters_of_different_sizes_by_hand():
    """m = 3, deviations 1 - 3 and 8 - 6, so sqrt(2 / 1 * (4 + 4)) / 3; an empty cluster counts for nothing."""
    found = estimate.mean([[1], [], [2, 6]])
    assert found is not None
    assert (found.mean, found.clusters) == (3, 2)
    assert found.standard_error == pytest.approx(4 / 3)


def test_one_prompt_has_its_samples_as_clusters():
    found = estimate.mean([[1, 2, 3]])
    assert found is not None
    assert found.clusters == 3
    assert found.standard_error == pytest.approx(1 / sqrt(3))
    assert found.high == pytest.approx(2 + 4.303 / sqrt(3))


def test_samples_of_a_prompt_that_are_alike_count_as_one():
    """16 copies of each sample say no more than the samples."""
    once, often = estimate.mean([[1.0], [3.0], [2.0]]), estimate.mean([[1.0] * 16, [3.0] * 16, [2.0] * 16])
    assert once is not None
    assert often is not None
    assert often.standard_error == pytest.approx(once.standard_error)


def test_one_sample_has_no_error():
    found = estimate.mean([[5.0]])
    assert found is not None
    assert (found.mean, found.standard_error, found.low, found.high) == (5, None, None, None)


def test_nothing_has_no_mean():
    assert estimate.mean([]) is None
    assert estimate.mean([[], []]) is None
