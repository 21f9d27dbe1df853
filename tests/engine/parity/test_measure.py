"""Cosine, KL and gap beside figures computed by hand and by plain Python in float64."""

from __future__ import annotations

from math import exp, fsum, log, sqrt

import numpy as np
import pytest

from engine.parity import measure


def logits(*probabilities: float) -> np.ndarray:
    return np.array([log(p) for p in probabilities], np.float32)


def test_two_distributions_by_hand():
    """p = 1/2 1/4 1/4 and q = 1/4 1/2 1/4: KL = 1/2 ln 2 - 1/4 ln 2.

    Centred, the logits are ln 2 / 3 times (2 -1 -1) and (-1 2 -1).
    """
    found = measure.step(7, logits(0.5, 0.25, 0.25), logits(0.25, 0.5, 0.25))
    assert (found.position, found.token_a, found.token_b, found.same) == (7, 0, 1, False)
    assert found.kl == pytest.approx(log(2) / 4, rel=1e-6)
    assert found.gap == pytest.approx(log(2), rel=1e-6)
    assert found.cosine == pytest.approx(-0.5, abs=1e-6)
    # deviations of ln 2 / 3 * (2 -1 -1): ln 2 / 3 * sqrt(6 / 3)
    assert found.deviations == pytest.approx(3 / sqrt(2), rel=1e-6)


def test_many_tokens_beside_plain_python():
    rng = np.random.default_rng(5)
    a = (rng.standard_normal(1001) * 4).astype(np.float32)
    b = (a + rng.standard_normal(1001) * 0.3).astype(np.float32)
    p, q = ([exp(float(value)) for value in side] for side in (a, b))
    expected = fsum(x / fsum(p) * log((x / fsum(p)) / (y / fsum(q))) for x, y in zip(p, q, strict=True))
    c, d = ([float(value) - fsum(map(float, side)) / 1001 for value in side] for side in (a, b))
    cosine = fsum(x * y for x, y in zip(c, d, strict=True)) / sqrt(fsum(x * x for x in c) * fsum(y * y for y in d))
    found = measure.step(0, a, b)
    assert found.kl == pytest.approx(expected, rel=1e-12)
    assert found.cosine == pytest.approx(cosine, rel=1e-12)


def test_equal_logits_are_exactly_equal():
    a = np.array([3, -1, 1000, 2], np.float32)
    found = measure.step(0, a, a.copy())
    assert (found.gap, found.deviations, found.kl) == (0, 0, 0)
    assert found.cosine == pytest.approx(1, abs=1e-15)


def test_a_constant_added_to_all_logits_changes_nothing():
    a = np.array([1, 2, 4], np.float32)
    found = measure.step(0, a, a + 512)
    assert found.kl == 0
    assert found.cosine == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("a", "b", "cosine"),
    [([2, 2, 2], [5, 5, 5], 1), ([2, 2, 2], [1, 2, 3], 0), ([1, 2, 3], [2, 2, 2], 0)],
    ids=["both flat", "a flat", "b flat"],
)
def test_flat_logits_have_no_direction(a: list[float], b: list[float], cosine: float):
    found = measure.step(0, np.array(a, np.float32), np.array(b, np.float32))
    assert found.cosine == cosine
    assert np.isfinite([found.kl, found.deviations]).all()


def test_logits_beyond_the_range_of_exp_do_not_overflow():
    """KL of a token that b all but excludes is the distance of the logits: 1 * (0 - -20000)."""
    found = measure.step(0, np.array([1e4, -1e4], np.float32), np.array([-1e4, 1e4], np.float32))
    assert found.kl == pytest.approx(2e4, rel=1e-12)


def test_of_equal_logits_the_smallest_id_counts():
    assert measure.step(0, np.array([1, 5, 5], np.float32), np.array([1, 4, 5], np.float32)).token_a == 1
