"""Attempts to refute contracts/engine/ops/rope-v1.yaml."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.ops.rotary import Rotary
from falsifiers.support import compare, definitions, engines
from falsifiers.support.recorder import Recorder

THETAS = (10_000.0, 1_000_000.0)
POSITIONS = np.array([0, 1, 2, 7, 511, 4_096, 32_767, 131_071], dtype=np.int64)


def heads(size: int, seed: int = 0, tokens: int = len(POSITIONS)) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((tokens, 3, size)).astype(np.float32)


@pytest.mark.falsifies("FALSIFY-ROPE-001")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_each_pair_turns_by_its_angle(pv: Recorder, backend: str) -> None:
    """Refuted by a pair that is not multiplied by exp(j * position * theta^(-2i/Dh)), computed in float64.

    Seen failing under rope_wrong_pairing (neighbours as pairs) and rope_theta_off (another base).
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    worst = 0.0
    for size in (2, 8, 64):
        x = heads(size)
        for theta in THETAS:
            got = ops.rope(x, POSITIONS, theta=theta)
            expected = [
                [definitions.rope(head.tolist(), int(position), theta) for head in token]
                for token, position in zip(x, POSITIONS, strict=True)
            ]
            half = size // 2
            length = np.hypot(x[..., :half], x[..., half:]).astype(np.float64)
            worst = max(worst, compare.worst_share(got, expected, np.concatenate([length, length], axis=-1)))
    pv.record("error as a share of the pair's length", worst, limit=2.38e-7)


@pytest.mark.falsifies("FALSIFY-ROPE-002")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_scores_depend_on_distance_alone(pv: Recorder, backend: str) -> None:
    """Refuted by a score q . k that changes when query and key move together, or by a pair whose length changes.

    Seen failing under rope_wrong_pairing, whose pairs no longer share one angle.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    size, theta = 64, 10_000.0
    q, k = heads(size, 1, tokens=1), heads(size, 2, tokens=1)
    shifts = (0, 1, 5, 100, 400)
    scores = []
    for shift in shifts:
        turned_q = ops.rope(q, np.array([17 + shift]), theta=theta).astype(np.float64)
        turned_k = ops.rope(k, np.array([3 + shift]), theta=theta).astype(np.float64)
        scores.append((turned_q * turned_k).sum(axis=-1))
    norms = np.linalg.norm(q.astype(np.float64), axis=-1) * np.linalg.norm(k.astype(np.float64), axis=-1)
    drift = compare.worst_share(np.array(scores[1:]), np.array(scores[:1] * (len(shifts) - 1)), norms)
    pv.record("drift of the score as a share of |q||k|", drift, limit=4.76e-7)
    turned = ops.rope(heads(size), POSITIONS, theta=theta)
    half = size // 2
    before = np.hypot(heads(size)[..., :half], heads(size)[..., half:]).astype(np.float64)
    after = np.hypot(turned[..., :half].astype(np.float64), turned[..., half:].astype(np.float64))
    pv.record("change of a pair's length", compare.worst_share(after, before, before), limit=2.38e-7)


@pytest.mark.falsifies("FALSIFY-ROPE-003")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_position_0_is_the_identity(pv: Recorder, backend: str) -> None:
    """Refuted by one bit that changes at position 0.

    Seen failing under rope_position_off_by_one, which counts positions from 1.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    x = heads(64)
    got = ops.rope(x, np.zeros(len(x), np.int64), theta=10_000.0)
    pv.record("elements that changed", compare.mismatches(got, x), limit=0, unit="elements")
    pv.record("elements compared", x.size, limit=1, unit="elements", bound="at_least")


@pytest.mark.falsifies("FALSIFY-ROPE-004")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_scaled_and_adjacent_pairs_turn_by_their_angles(pv: Recorder, backend: str) -> None:
    """Refuted by a pair that is not multiplied by magnitude * exp(j * position * factor * theta^(-2i/Dh)), be pairs
    halves or neighbours.

    Seen failing under rope_wrong_pairing, rope_scaling_ignored and rope_magnitude_ignored.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    worst, compared = 0.0, 0
    for size, magnitude, adjacent in ((2, 1.0, True), (8, 1.25, False), (64, 0.8, True)):
        x, theta = heads(size), 500_000.0
        factors = tuple(np.random.default_rng(size).uniform(0.1, 1.0, size // 2).tolist())
        got = ops.rope(x, POSITIONS, theta=theta, rotary=Rotary(factors, magnitude, adjacent))
        expected = [
            [
                definitions.scaled_rope(head.tolist(), int(position), theta, factors, magnitude, adjacent=adjacent)
                for head in token
            ]
            for token, position in zip(x, POSITIONS, strict=True)
        ]
        first, second = (x[..., 0::2], x[..., 1::2]) if adjacent else np.split(x, 2, axis=-1)
        length = magnitude * np.hypot(first, second).astype(np.float64)
        length = np.repeat(length, 2, axis=-1) if adjacent else np.concatenate([length, length], axis=-1)
        worst = max(worst, compare.worst_share(got, expected, length))
        compared += x.size
    pv.record("error as a share of the pair's length", worst, limit=2.38e-7)
    pv.record("elements compared", compared, limit=1, unit="elements", bound="at_least")
