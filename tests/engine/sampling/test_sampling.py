"""Filters against hand-made distributions, draws against the probabilities they should have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.errors import SamplingError
from engine.sampling import Sampling, candidates, generator, sample

# Probabilities 0.4, 0.3, 0.2, 0.1 of tokens 2, 0, 3, 1.
LOGITS = np.log(np.array([0.3, 0.1, 0.4, 0.2], dtype=np.float32))


def kept(**params: Any) -> dict[int, float]:
    ids, probabilities = candidates(LOGITS, Sampling(temperature=1, **params))
    return {int(index): round(float(value), 6) for index, value in zip(ids, probabilities, strict=True)}


def test_default_is_greedy():
    assert Sampling().greedy
    assert sample(LOGITS, Sampling(), generator(Sampling())) == 2


def test_greedy_tie_takes_the_lower_id():
    assert sample(np.array([0, 5, 5], np.float32), Sampling(), generator(Sampling())) == 1


def test_all_tokens_are_candidates_most_probable_first():
    assert list(kept().items()) == [(2, 0.4), (0, 0.3), (3, 0.2), (1, 0.1)]


def test_top_k_keeps_k():
    assert kept(top_k=2) == {2: round(4 / 7, 6), 0: round(3 / 7, 6)}
    assert len(kept(top_k=99)) == 4


@pytest.mark.parametrize(("top_p", "count"), [(0.01, 1), (0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.95, 4)])
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p: float, count: int):
    assert len(kept(top_p=top_p)) == count


@pytest.mark.parametrize(("min_p", "count"), [(0.0, 4), (0.2, 4), (0.3, 3), (0.6, 2), (0.8, 1), (1.0, 1)])
def test_min_p_is_relative_to_the_largest(min_p: float, count: int):
    """0.1 is 0.25 of 0.4, 0.2 half of it, 0.3 three quarters."""
    assert len(kept(min_p=min_p)) == count


def test_filters_renormalise_between():
    """top-k 3 leaves 4/9, 3/9, 2/9; of these top-p 0.75 needs two (7/9); without renormalising it would need three."""
    assert kept(top_k=3, top_p=0.75) == {2: round(4 / 7, 6), 0: round(3 / 7, 6)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "min_p"),
    [(0.7, 0, 1.0, 0.0), (1.3, 40, 1.0, 0.0), (1.0, 0, 0.8, 0.0), (0.8, 50, 0.9, 0.0), (1.5, 0, 1.0, 0.1)],
)
def test_candidates_equal_transformers(seed: int, temperature: float, top_k: int, top_p: float, min_p: float):
    logits = (np.random.default_rng(seed).standard_normal(400) * 3).astype(np.float32)
    scores = TemperatureLogitsWarper(temperature)(None, torch.from_numpy(logits)[None])
    for warper, wanted in ((TopKLogitsWarper, top_k), (TopPLogitsWarper, top_p), (MinPLogitsWarper, min_p)):
        if wanted not in (0, 1):
            scores = warper(wanted)(None, scores)
    expected = torch.softmax(scores[0].double(), dim=-1).numpy()
    ids, probabilities = candidates(logits, Sampling(temperature, top_k, top_p, min_p))
    assert set(ids.tolist()) == set(np.flatnonzero(expected).tolist())
    np.testing.assert_allclose(probabilities, expected[ids], rtol=1e-5)  # the judge works in float32 before softmax


def test_draws_follow_the_probabilities():
    """20,000 draws: a frequency is within 4 standard deviations, 4 * sqrt(0.25 / 20000) = 0.0142."""
    params = Sampling(temperature=1, seed=7)
    rng = generator(params)
    counts = np.bincount([sample(LOGITS, params, rng) for _ in range(20_000)], minlength=4) / 20_000
    np.testing.assert_allclose(counts, [0.3, 0.1, 0.4, 0.2], atol=0.0142)


def test_temperature_flattens_and_sharpens():
    """p^(1/T), normalised: at T = 0.5 the squares 0.16, 0.09, 0.04, 0.01 over 0.30."""
    _, cold = candidates(LOGITS, Sampling(temperature=0.5))
    np.testing.assert_allclose(cold, np.array([16, 9, 4, 1]) / 30, rtol=1e-6)


def test_smallest_temperature_is_greedy_without_overflow():
    ids, probabilities = candidates(LOGITS, Sampling(temperature=1e-310))
    assert ids[0] == 2
    assert probabilities.tolist() == [1, 0, 0, 0]


def test_same_seed_same_draws_other_seed_other_draws():
    def draws(seed: int) -> list[int]:
        params = Sampling(temperature=1, seed=seed)
        rng = generator(params)
        return [sample(LOGITS, params, rng) for _ in range(50)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_known_draws():
    """Pinned, so that a seed means the same tokens on every machine; uniform numbers are PCG64's for seed 0."""
    params = Sampling(temperature=1, seed=0)
    rng = generator(params)
    uniforms = np.random.Generator(np.random.PCG64(0)).random(6)
    expected = [int(np.array([2, 0, 3, 1])[np.searchsorted([0.4, 0.7, 0.9, 1.0], u, side="right")]) for u in uniforms]
    assert [sample(LOGITS, params, rng) for _ in range(6)] == expected


def test_fresh_seed_is_known_afterwards():
    params = Sampling(temperature=1).seeded()
    assert params.seed is not None
    assert params.seeded() is params
    assert Sampling().seeded() == Sampling()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1, must be finite and >= 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"top_k": -1}, "top-k is -1, must be >= 0"),
        ({"top_p": 0.0}, r"top-p is 0.0, must be in \(0, 1\]"),
        ({"top_p": 1.1}, "top-p is 1.1"),
        ({"top_p": float("nan")}, "top-p is nan"),
        ({"min_p": -0.5}, r"min-p is -0.5, must be in \[0, 1\]"),
        ({"seed": -1}, "seed is -1, must be >= 0"),
    ],
)
def test_parameter_out_of_range_is_refused(params: dict[str, Any], message: str):
    with pytest.raises(SamplingError, match=message):
        Sampling(**params)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_logits_are_refused(bad: float, temperature: float):
    params = Sampling(temperature=temperature, seed=0)
    with pytest.raises(SamplingError, match=f"largest logit is {bad}; the model or its file is broken"):
        sample(np.array([0, bad, 1], np.float32), params, generator(params))
