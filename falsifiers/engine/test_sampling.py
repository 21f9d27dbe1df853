"""Attempts to refute contracts/engine/sampling-v2.yaml."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from engine import sampling
from engine.sampling import Sampling
from falsifiers.support import compare
from falsifiers.support.recorder import Recorder

VOCAB = 50
DRAWS = 2000
SETTINGS = (
    Sampling(temperature=1.0, seed=1),
    Sampling(temperature=0.7, seed=2),
    Sampling(temperature=2.0, top_k=5, seed=3),
    Sampling(temperature=1.0, top_p=0.8, seed=4),
    Sampling(temperature=1.5, min_p=0.1, seed=5),
    Sampling(temperature=1.2, top_k=12, top_p=0.9, min_p=0.05, seed=6),
)


def logits() -> npt.NDArray[np.float32]:
    values = np.random.default_rng(0).standard_normal(VOCAB).astype(np.float32) * 2
    values[7] = values[31]  # a tie
    values[40] = -np.inf  # a token that must never come
    return values


def distribution(values: list[float], params: Sampling) -> list[float]:
    """Probability of every token: softmax, then top-k, top-p and min-p in turn, renormalised, by the definitions."""
    largest = max(values)
    p = {token: math.exp((value - largest) / params.temperature) for token, value in enumerate(values)}
    order = sorted(p, key=lambda token: (-p[token], token))
    if params.top_k:
        order = order[: params.top_k]
    if params.top_p < 1:
        total, covered, kept = math.fsum(p[token] for token in order), 0.0, []
        for token in order:
            kept.append(token)
            covered += p[token] / total
            if covered >= params.top_p:
                break
        order = kept
    order = [token for token in order if p[token] >= params.min_p * p[order[0]]]
    total = math.fsum(p[token] for token in order)
    return [p[token] / total if token in order else 0.0 for token in range(len(values))]


@pytest.mark.falsifies("FALSIFY-SAMPLING-001")
def test_greedy_takes_the_largest_logit(pv: Recorder) -> None:
    """Refuted by a greedy token that is not the largest logit, the lowest id among ties, whatever the filters say.

    Seen failing under greedy_takes_second.
    """
    rng = np.random.default_rng(9)
    wrong = 0
    for trial in range(200):
        values = rng.standard_normal(VOCAB).astype(np.float32)
        values[trial % VOCAB] = values.max()  # ties in every place
        expected = min(range(VOCAB), key=lambda token: (-float(values[token]), token))
        params = Sampling(temperature=0.0, top_k=3, top_p=0.5, seed=trial)
        wrong += sampling.sample(values, params, sampling.generator(params)) != expected
    pv.record("tokens that are not the largest", wrong, limit=0, unit="tokens")
    pv.record("choices made", 200, limit=200, unit="tokens", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-SAMPLING-002")
def test_candidates_are_the_defined_distribution(pv: Recorder) -> None:
    """Refuted by a token whose probability differs from the definition by more than float64 sums of 50 terms allow.

    Seen failing under top_p_ignored and temperature_ignored.
    """
    values = logits()
    worst = 0.0
    for params in SETTINGS:
        ids, probabilities = sampling.candidates(values, params)
        found = np.zeros(VOCAB)
        found[ids] = probabilities
        worst = max(worst, compare.worst_error(found, distribution(values.astype(float).tolist(), params)))
    pv.record("error of a probability", worst, limit=1e-12)
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-SAMPLING-003")
def test_draws_follow_the_distribution(pv: Recorder) -> None:
    """Refuted by a drawn token that the filters exclude, or by counts that the distribution gives once in 10^6 runs.

    Seen failing under top_p_ignored and temperature_ignored.
    """
    values = logits()
    impossible, worst = 0, 0.0
    for params in SETTINGS:
        rng = sampling.generator(params)
        drawn = np.bincount([sampling.sample(values, params, rng) for _ in range(DRAWS)], minlength=VOCAB)
        p = np.array(distribution(values.astype(float).tolist(), params))
        impossible += int(drawn[p == 0].sum())
        possible = p > 0
        # A binomial count is within 6 deviations, plus 6 for rare tokens, but once in 10^8.
        allowed = 6 * np.sqrt(DRAWS * p * (1 - p)) + 6
        worst = max(worst, float((np.abs(drawn - DRAWS * p) / allowed)[possible].max()))
    pv.record("draws of excluded tokens", impossible, limit=0, unit="draws")
    pv.record("deviation of a count over the allowed one", worst, limit=1.0)
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-SAMPLING-004")
def test_a_seed_repeats_the_draws(pv: Recorder) -> None:
    """Refuted by two generators of one seed that draw differently, or by two seeds that draw alike.

    Seen failing under seed_ignored.
    """
    values = logits()
    runs = {}
    for seed in (0, 0xFFFF_FFFF, 7):
        params = Sampling(temperature=1.0, seed=seed)
        runs[seed] = [_draw(values, params), _draw(values, params)]
    pv.record("seeds with two sequences", sum(a != b for a, b in runs.values()), limit=0, unit="seeds")
    different = len({tuple(first) for first, _ in runs.values()})
    pv.record("different sequences", different, limit=len(runs), unit="sequences", bound="at_least")
    pv.ran_on({"target": "cpu"})


def _draw(values: npt.NDArray[np.float32], params: Sampling) -> list[int]:
    rng = sampling.generator(params)
    return [sampling.sample(values, params, rng) for _ in range(64)]
