"""The search for the smallest fault that is caught: bounded, exact to a few percent, and never optimistic."""

from __future__ import annotations

import pytest

from pv.challenge.sensitivity import RUNS, search
from pv.schema.verdict import ChallengeOutcome

CAUGHT, SURVIVED, BROKEN = ChallengeOutcome.CAUGHT, ChallengeOutcome.SURVIVED, ChallengeOutcome.BROKEN


@pytest.mark.parametrize("threshold", [0.9, 0.1, 3e-3, 1e-4, 2.5e-7, 3e-9])
def test_threshold_is_found_within_4_percent_and_from_above(threshold: float) -> None:
    found = search(lambda size: CAUGHT if size >= threshold else SURVIVED)
    assert found.smallest_caught is not None
    assert threshold <= found.smallest_caught <= threshold * 1.042
    assert len(found.tried) == RUNS


def test_falsifier_that_misses_the_largest_size_is_tried_once() -> None:
    found = search(lambda _size: SURVIVED)
    assert (found.smallest_caught, found.tried) == (None, ((1.0, SURVIVED),))


def test_fault_too_large_to_run_is_tried_smaller() -> None:
    """An error is not a catch, and does not end the search."""
    found = search(lambda size: BROKEN if size > 0.05 else CAUGHT if size > 1e-5 else SURVIVED)
    assert [size for size, _ in found.tried[:3]] == [1.0, pytest.approx(0.1), pytest.approx(0.01)]
    assert found.smallest_caught == pytest.approx(1e-5, rel=0.12)
    assert found.smallest_caught is not None
    assert found.smallest_caught >= 1e-5
    assert len(found.tried) == RUNS


@pytest.mark.parametrize("outcome", [outcome for outcome in ChallengeOutcome if outcome is not CAUGHT])
def test_nothing_but_a_catch_is_a_catch(outcome: ChallengeOutcome) -> None:
    found = search(lambda _size: outcome)
    assert found.smallest_caught is None
    assert len(found.tried) == (4 if outcome is BROKEN else 1)


@pytest.mark.parametrize("outcome", [outcome for outcome in ChallengeOutcome if outcome is not CAUGHT])
def test_what_is_not_caught_on_the_way_down_is_missed(outcome: ChallengeOutcome) -> None:
    found = search(lambda size: CAUGHT if size >= 1e-3 else outcome)
    assert found.smallest_caught == pytest.approx(1e-3, rel=0.042)


def test_falsifier_that_catches_everything_but_size_0_is_as_sensitive_as_was_tried() -> None:
    found = search(lambda size: CAUGHT if size else SURVIVED)
    assert found.smallest_caught == pytest.approx(1e-9, rel=0.1)
    assert found.tried[-1] == (0.0, SURVIVED)
    assert len(found.tried) == RUNS


@pytest.mark.parametrize("too_large", [2.0, 0.5, 0.05], ids=["runs at 1", "at 0.1", "at 0.01"])
def test_fault_that_ignores_its_size_has_no_smallest_one(too_large: float) -> None:
    found = search(lambda size: BROKEN if size > too_large else CAUGHT)
    assert found.smallest_caught is None
    assert found.tried[-1] == (0.0, CAUGHT)
    assert len(found.tried) == RUNS
