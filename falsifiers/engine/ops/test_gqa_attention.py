"""Attempts to refute contracts/engine/ops/gqa-attention-v1.yaml."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from falsifiers.support import compare, definitions, engines
from falsifiers.support.recorder import Recorder

F32 = npt.NDArray[np.float32]
# (tokens, slots, heads, kv heads, head dim): one of each, decode, chunk after a prefix, no groups, groups of 7.
CASES = [(1, 1, 1, 1, 2), (1, 9, 4, 2, 8), (5, 11, 6, 2, 8), (4, 4, 3, 3, 6), (3, 5, 14, 2, 64)]


def arrays(
    tokens: int, slots: int, heads: int, kv_heads: int, size: int, sharp: float = 1.0
) -> tuple[F32, F32, F32, Any]:
    rng = np.random.default_rng(tokens * 100 + slots)
    q = (sharp * rng.standard_normal((tokens, heads, size))).astype(np.float32)
    k, v = rng.standard_normal((2, slots, kv_heads, size)).astype(np.float32)
    return q, k, v, np.arange(slots - tokens, slots, dtype=np.int64)


@pytest.mark.falsifies("FALSIFY-GQA-ATTENTION-001")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_output_equals_the_formula_in_float64(pv: Recorder, backend: str) -> None:
    """Refuted by one element further from softmax(q k' / sqrt(Dh)) v than float32 scores allow.

    Seen failing under missing_attention_scale and gqa_wrong_head_mapping (heads taken in turn, not in groups).
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    worst = 0.0
    for case in CASES:
        q, k, v, positions = arrays(*case)
        expected = definitions.attention(q.tolist(), k.tolist(), v.tolist(), positions.tolist())
        got = ops.attention(q, k, v, positions)
        worst = max(worst, compare.worst_share(got, expected, float(np.abs(v).max())))
    pv.record("error as a share of the largest value", worst, limit=1.9e-6)


@pytest.mark.falsifies("FALSIFY-GQA-ATTENTION-002")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_the_future_has_no_influence(pv: Recorder, backend: str) -> None:
    """Refuted by one bit of a query's output that changes when keys and values behind its position change.

    Seen failing under causal_mask_off_by_one (the next token is seen) and caught in the other direction as well: the
    query's own slot must have an influence.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    q, k, v, positions = arrays(6, 9, 4, 2, 8)
    before = ops.attention(q, k, v, positions)
    changed, own = 0, 0
    for row, position in enumerate(positions.tolist()):
        other_k, other_v = k.copy(), v.copy()
        other_k[position + 1 :] = 3
        other_v[position + 1 :] = -1e6
        after = ops.attention(q, other_k, other_v, positions)
        changed += compare.bit_mismatches(after[: row + 1], before[: row + 1])
        other_v = v.copy()
        other_v[position] += 100
        own += int(np.abs(ops.attention(q, k, other_v, positions)[row] - before[row]).min() > 0)
    pv.record("elements that saw the future", changed, limit=0, unit="elements")
    pv.record("queries that see their own slot", own, limit=len(positions), unit="queries", bound="at_least")


@pytest.mark.falsifies("FALSIFY-GQA-ATTENTION-003")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_weights_are_a_mean_even_for_sharp_scores(pv: Recorder, backend: str) -> None:
    """Refuted by scores of thousands that overflow, or by weights that do not sum to 1: values that are all one
    number must come out as that number.

    Seen failing under causal_mask_off_by_one, which puts a slot of another value into the mean.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    worst = 0.0
    for sharp in (0.0, 1.0, 3000.0):
        q, k, v, positions = arrays(5, 8, 4, 2, 16, sharp)
        for row, position in enumerate(positions.tolist()):
            v[:] = -7.25
            v[: position + 1] = 2.5
            got = ops.attention(q, k, v, positions)[row]
            worst = max(worst, compare.worst_share(got, np.full(got.shape, 2.5), 2.5))
    pv.record("error as a share of the value", worst, limit=9.53e-7)


@pytest.mark.falsifies("FALSIFY-GQA-ATTENTION-004")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_a_window_shows_its_slots_alone(pv: Recorder, backend: str) -> None:
    """Refuted by an element further from the formula over the last slots than float32 scores allow, by one bit that
    changes when older keys and values change, or by an oldest slot of the window without influence.

    Seen failing under window_off_by_one.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    worst, changed, oldest = 0.0, 0, 0
    q, k, v, positions = arrays(6, 11, 4, 2, 8)
    for window in (1, 3, 5, 40):
        got = ops.attention(q, k, v, positions, window=window)
        expected = definitions.attention(q.tolist(), k.tolist(), v.tolist(), positions.tolist(), window)
        worst = max(worst, compare.worst_share(got, expected, float(np.abs(v).max())))
    window = 3
    before = ops.attention(q, k, v, positions, window=window)
    for row, position in enumerate(positions.tolist()):
        first = position - window + 1
        other_k, other_v = k.copy(), v.copy()
        other_k[:first] = 3
        other_v[:first] = -1e6
        after = ops.attention(q, other_k, other_v, positions, window=window)
        changed += compare.bit_mismatches(after[row:], before[row:])
        other_v = v.copy()
        other_v[first] += 100
        oldest += int(np.abs(ops.attention(q, k, other_v, positions, window=window)[row] - before[row]).min() > 0)
    pv.record("error as a share of the largest value", worst, limit=1.9e-6)
    pv.record("elements that saw older slots", changed, limit=0, unit="elements")
    pv.record(
        "queries that see the oldest slot of their window",
        oldest,
        limit=len(positions),
        unit="queries",
        bound="at_least",
    )
