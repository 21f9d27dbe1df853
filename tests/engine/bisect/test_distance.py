"""Distances see an outlier's neighbours, a single wrong channel and whatever is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from engine.bisect.distance import ROUNDINGS, Distance, Excess, Floor, Yardstick


def distance_of(change: float, channel: int, row: np.ndarray) -> Distance:
    changed = row.copy()
    changed[0, channel] += change
    return Yardstick(row).distance(changed)


def test_an_outlier_channel_does_not_hide_a_small_one():
    """Channel 0 is 1000 times the others: an error of 0.1 beside it counts as a tenth, not as a ten-thousandth."""
    row = np.ones((1, 64))
    row[0, 0] = 1000.0
    # hypot(1, 1): the element and the row's median
    assert distance_of(0.1, 5, row).largest[0] == pytest.approx(0.1 / 2**0.5)
    assert distance_of(0.1, 0, row).largest[0] == pytest.approx(0.1 / 1000, rel=1e-5)


def test_a_channel_near_zero_counts_by_what_is_usual_in_its_row():
    row = np.ones((1, 64))
    row[0, 9] = 0.0
    assert distance_of(0.1, 9, row).largest[0] == pytest.approx(0.1)


def test_rms_and_largest_by_hand():
    """Four channels of size 1, one of them off by sqrt(2): rms sqrt(1 / 4), largest 1, at channel 2."""
    found = distance_of(2**0.5, 2, np.ones((1, 4)))
    assert (found.rms[0], found.largest[0], found.channel[0]) == (pytest.approx(0.5), pytest.approx(1.0), 2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_infinitely_far(wrong: float):
    found = distance_of(wrong, 3, np.ones((1, 8)))
    assert (found.rms[0], found.largest[0], found.channel[0]) == (np.inf, np.inf, 3)


def test_equal_infinities_and_rows_of_zeros_are_no_distance():
    row = np.array([[np.inf, 1.0, 2.0], [0.0, 0.0, 0.0]])
    assert Yardstick(row).distance(row.copy()).largest.tolist() == [0.0, 0.0]


def test_a_floor_is_the_margin_times_the_largest_noise_over_all_positions_and_never_below_four_roundings():
    noise = Distance(np.array([1e-3, 2e-3]), np.array([5e-3, 4e-3]), np.zeros(2, np.int64))
    assert Floor.of([noise.extent], 3.0) == Floor(6e-3, 15e-3)
    assert Floor.of([], 3.0) == Floor(3 * ROUNDINGS, 3 * ROUNDINGS)
    assert Floor.of_difference(Floor(3, 5), Floor(4, 12)) == Floor(5, 13)


def test_the_first_position_beyond_the_floor_is_named_not_the_worst():
    found = Distance(np.array([0.5, 2.0, 9.0]), np.array([0.5, 1.0, 1.0]), np.array([4, 5, 6]))
    excess = Excess.of(found, Floor(1.0, 1.0))
    assert (excess.times, excess.position, excess.channel, excess.is_noise) == (9.0, 1, 5, False)
    below = Excess.of(found, Floor(10.0, 10.0))
    assert (below.position, below.is_noise) == (2, True)
