"""Attempts to refute contracts/engine/ops/cuda/cuda-layers-v1.yaml."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.gguf.types import GgmlType
from engine.ops import reference
from falsifiers.support import compare, cuda, definitions
from falsifiers.support.recorder import Recorder


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-001")
def test_rms_norm_equals_the_formula(pv: Recorder) -> None:
    """Refuted by an element off by more than 1e-6 of itself, for rows of 1 to 3584. Seen failing under norm_epsilon."""
    cuda.needs_run(pv)
    worst = 0.0
    with cuda.recorded(pv):
        for tokens, size in ((1, 1), (3, 255), (2, 3584)):
            x, weight = cuda.draw(tokens, size) * 3, cuda.draw(size)
            wide = x.astype(np.float64)
            expected = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-6) * weight
            found = cuda.module().rms_norm(x, weight, eps=1e-6)
            worst = max(worst, compare.worst_share(found, expected, np.abs(expected) + 1e-30))
    pv.record("relative error", worst, limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-002")
def test_rope_turns_each_pair(pv: Recorder) -> None:
    """Refuted by a pair off by more than 1e-6 of its length, at positions up to 100,000.

    Seen failing under rope_position_off_by_one.
    """
    cuda.needs_run(pv)
    positions = np.array([0, 1, 511, 32767, 100_000], np.int64)
    worst = 0.0
    with cuda.recorded(pv):
        for size in (2, 6, 128):
            x = cuda.draw(5, 3, size)
            found = cuda.module().rope(x, positions, theta=1e6)
            expected = [
                [definitions.rope(head.tolist(), int(position), 1e6) for head in token]
                for token, position in zip(x, positions, strict=True)
            ]
            half = size // 2
            length = np.hypot(x[..., :half], x[..., half:]).astype(np.float64)
            worst = max(worst, compare.worst_share(found, expected, np.concatenate([length, length], axis=-1)))
    pv.record("error as a share of the pair's length", worst, limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-003")
@pytest.mark.parametrize(("tokens", "before"), [(1, 0), (1, 150), (40, 30)], ids=["first", "decode", "prefill"])
def test_attention_sees_its_slots_and_no_others(pv: Recorder, tokens: int, before: int) -> None:
    """Refuted by a relative L2 above 1e-5 against float64 with the same float16 cache, whose further slots are NaN.

    Seen failing under attention_one_slot_too_many.
    """
    cuda.needs_run(pv)
    slots = tokens + before
    q = cuda.draw(tokens, 4, 64) * 2
    keys, values = (np.full((slots + 70, 2, 64), np.nan, np.float32) for _ in range(2))
    for number, room in enumerate((keys, values)):
        room[:slots] = cuda.draw(slots, 2, 64, seed=number).astype(np.float16)
    positions = np.arange(before, slots, dtype=np.int64)
    with cuda.recorded(pv):
        found = cuda.module().attention(q, keys, values, positions)
    pv.record("relative L2", cuda.relative(found, _attention(q, keys, values, positions)), limit=1e-5)


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-004")
def test_swiglu_equals_the_formula(pv: Recorder) -> None:
    """Refuted by an element off by more than 1e-6 times 1 + |gate|, gates from -80 to 80, or by a NaN at -1e4.

    Seen failing under swiglu_swapped.
    """
    cuda.needs_run(pv)
    gate = np.concatenate([np.linspace(-80, 80, 1101), [-1e4]]).astype(np.float32)[None]
    up = cuda.draw(1, gate.size)
    with cuda.recorded(pv):
        found = cuda.module().swiglu(gate, up)
    wide = np.maximum(gate.astype(np.float64), -700)
    expected = wide / (1 + np.exp(-wide)) * up
    worst = compare.worst_share(found, expected, (np.abs(expected) + 1e-30) * (1 + np.abs(wide)))
    pv.record("relative error over 1 + |gate|", worst, limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-005")
@pytest.mark.parametrize("kind", [*cuda.QUANTISED, *cuda.PLAIN], ids=lambda kind: kind.name)
def test_embedding_is_the_row_named(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a weight off by more than 1e-6 of the largest of its row. Seen failing under
    embedding_of_the_neighbour."""
    cuda.needs_run(pv)
    weight, ids = cuda.weight(kind, 11, 1280), np.array([10, 1, 10])
    with cuda.recorded(pv):
        found = cuda.module().embedding(weight, ids)
    expected = reference.embedding(weight, ids)
    scale = np.abs(expected).max(axis=1, keepdims=True)
    pv.record("error over the largest of the row", compare.worst_share(found, expected, scale), limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-006")
def test_sums_are_one_rounding(pv: Recorder) -> None:
    """Refuted by one bit of a residual or bias sum. Seen failing under bias_doubled."""
    cuda.needs_run(pv)
    x, y, bias = cuda.draw(3, 1025), cuda.draw(3, 1025, seed=1), cuda.draw(1025)
    with cuda.recorded(pv):
        wrong = compare.bit_mismatches(cuda.module().add(x, y), x + y)
        wrong += compare.bit_mismatches(cuda.module().add_bias(x, bias), x + bias)
    pv.record("elements that differ", wrong, limit=0, unit="elements")


def _attention(
    q: cuda.F32, keys: cuda.F32, values: cuda.F32, positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    out = np.empty(q.shape)
    for t, position in enumerate(positions):
        for head in range(q.shape[1]):
            group = head // (q.shape[1] // keys.shape[1])
            seen = keys[: position + 1, group].astype(np.float64)
            scores = seen @ q[t, head].astype(np.float64) / np.sqrt(q.shape[2])
            share = np.exp(scores - scores.max())
            out[t, head] = share @ values[: position + 1, group].astype(np.float64) / share.sum()
    return out
