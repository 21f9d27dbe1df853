"""Figures of a tap beside numpy's over everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from engine.parity.statistics import Statistics, Summary


def summary(*chunks: np.ndarray) -> Summary:
    found = Statistics()
    for chunk in chunks:
        found.add(chunk)
    return found.summary()


@pytest.mark.parametrize("cuts", [[], [1], [4, 5, 9]], ids=["at once", "two chunks", "four chunks"])
def test_chunks_give_the_figures_of_the_whole(cuts: list[int]):
    """Around 1e4 with a deviation of 1, where a difference of squares in float32 would have lost everything."""
    rng = np.random.default_rng(3)
    whole = (rng.standard_normal((11, 7)) + 1e4).astype(np.float32)
    found = summary(*np.split(whole, cuts))
    exact = whole.astype(np.float64)
    assert found.mean == pytest.approx(exact.mean(), rel=1e-14)
    assert found.std == pytest.approx(exact.std(), rel=1e-9)
    assert (found.min, found.max) == (exact.min(), exact.max())
    assert found.first == tuple(whole[0, :5].tolist())
    assert (found.shape, found.values, found.not_finite) == ((11, 7), 77, 0)


def test_rows_of_several_axes_have_a_channel_for_each_place():
    """Channel (1, 2) of (2, 4) is number 6; its rms is 26, that of the others 1."""
    ones = np.ones((3, 2, 4), np.float32)
    ones[:, 1, 2] = -26
    found = summary(ones[:1], ones[1:])
    assert found.shape == (3, 2, 4)
    assert found.outliers == ((6, 26.0),)


def test_outliers_begin_at_six_times_the_median():
    row = np.ones((2, 9), np.float32)
    row[:, 3], row[:, 5], row[:, 8] = 5.9, 6, 12
    assert summary(row).outliers == ((8, 12.0), (5, 6.0))


def test_channels_that_are_mostly_zero_have_no_outliers():
    row = np.zeros((2, 9), np.float32)
    row[:, 3] = 5
    assert summary(row).outliers == ()


def test_values_that_are_not_finite_are_counted_and_left_out():
    array = np.array([[1, np.nan, 3], [np.inf, 5, -np.inf]], np.float32)
    found = summary(array)
    assert (found.values, found.not_finite) == (6, 3)
    assert (found.mean, found.min, found.max) == (3, 1, 5)
    assert found.std == pytest.approx(np.std([1, 3, 5]))


def test_nothing_finite_has_no_figures():
    found = summary(np.full((2, 2), np.nan, np.float32))
    assert np.isnan([found.mean, found.std, found.min, found.max]).all()
    assert found.not_finite == 4


def test_scores_are_of_the_slots_that_a_query_sees():
    """Two tokens behind one: rows of 2 and 3 slots, of one head; what lies behind is not counted."""
    found = Statistics()
    found.add_scores(np.array([[[1, 9, 9]]], np.float32)[:, :, :1])
    found.add_scores(np.array([[[0.25, 0.75, 9]], [[0.5, 0.25, 0.25]]], np.float32))
    result = found.summary()
    assert (result.values, result.shape) == (1 + 2 + 3, (3, 1, 3))
    assert result.mean == pytest.approx(3 / 6)
    assert (result.min, result.max, result.outliers) == (0.25, 1, ())
