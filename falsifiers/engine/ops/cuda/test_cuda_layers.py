"""Attempts to refute contracts/engine/ops/cuda/cuda-layers-v2.yaml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from engine.gguf.types import GgmlType
from engine.ops import reference
from engine.ops.rotary import Rotary
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


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-007")
@pytest.mark.parametrize(("tokens", "before"), [(1, 9), (5, 2)], ids=["decode", "prefill"])
def test_keys_and_values_reach_the_cache(pv: Recorder, tokens: int, before: int) -> None:
    """Refuted by q or k off by more than 1e-6 of a pair's length, by a slot of the cache that is not the float16 of k
    or of v with its bias, or by a slot that others hold and that changed.

    q, k and v come in three parts, as split products leave them. Seen failing under rope_position_off_by_one and
    values_turned.
    """
    cuda.needs_run(pv)
    target, resident, sums = (cuda.module(name) for name in ("target", "resident", "sums"))
    cache = cuda.module("kv_cache").DeviceKvCache(1, 2, 64, 12)
    for room in cache.view(0):
        room.fill_(7.0)
    cache.append(0, *(target.put(cuda.draw(before, 2, 64, seed=number)) for number in (8, 9)))
    was = [room.cpu().numpy().copy() for room in cache.view(0)]
    positions = np.arange(before, before + tokens)
    given, exact = [], []
    for number, heads in enumerate((4, 2, 2)):
        parts, bias = cuda.draw(3, tokens, heads * 64, seed=number), cuda.draw(heads * 64, seed=number)
        given.append(sums.Sum(target.put(parts), bias=target.put(bias), shape=(tokens, heads, 64)))
        exact.append((parts[0] + parts[1] + parts[2] + bias).reshape(tokens, heads, 64))
    with cuda.recorded(pv):
        q, k = (x.cpu().numpy() for x in resident.rope_append(*given, positions, cache, 0, theta=1e6))
    worst = 0.0
    for found, x in ((q, exact[0]), (k, exact[1])):
        turned = [
            [definitions.rope(head.tolist(), int(position), 1e6) for head in token]
            for token, position in zip(x, positions, strict=True)
        ]
        length = np.hypot(x[..., :32], x[..., 32:]).astype(np.float64)
        worst = max(worst, compare.worst_share(found, turned, np.concatenate([length, length], axis=-1)))
    pv.record("error as a share of the pair's length", worst, limit=1e-6)
    expected = [room.copy() for room in was]
    for room, x in zip(expected, (k, exact[2]), strict=True):
        room[before : before + tokens] = x.astype(np.float16)
    wrong = sum(
        int((room.cpu().numpy().view(np.uint16) != right.view(np.uint16)).sum())
        for room, right in zip(cache.view(0), expected, strict=True)
    )
    pv.record("elements of the cache that differ", wrong, limit=0, unit="elements")


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-008")
@pytest.mark.parametrize("kind", [*cuda.QUANTISED, *cuda.PLAIN], ids=lambda kind: kind.name)
def test_gate_and_up_are_one_product(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a gate or up off by more than 1e-6 of its product with the same activations, by SwiGLU that is not
    that of these two, or by an 8-bit form that is not that of the quantiser. Seen failing under gate_below_up.
    """
    cuda.needs_run(pv)
    target, resident, activations = (cuda.module(name) for name in ("target", "resident", "activations"))
    size, x = 96, cuda.draw(2, 512)
    gate, up = cuda.weight(kind, size, 512), replace(cuda.weight(kind, size + 1, 512), shape=(size, 512))
    up = replace(up, data=up.data[:size])
    read = cuda.in_8_bits(x) if kind in cuda.QUANTISED else x
    with cuda.recorded(pv):
        *products, activated = resident.gated_product(target.put(x), gate, up)
    found = [array.cpu().numpy() for array in products]
    worst = max(
        cuda.relative(array, cuda.product(read, weight)) for array, weight in zip(found, (gate, up), strict=True)
    )
    pv.record("relative L2 of gate and up", worst, limit=1e-6)
    wide = found[0].astype(np.float64)
    expected = wide / (1 + np.exp(-wide)) * found[1]
    share = compare.worst_share(activated.cpu().numpy(), expected, (np.abs(expected) + 1e-30) * (1 + np.abs(wide)))
    pv.record("relative error of SwiGLU over 1 + |gate|", share, limit=1e-6)
    apart = activations.quantised(activated.clone())
    wrong = sum(
        int((getattr(activated.quantised, field) != getattr(apart, field)).sum()) for field in ("xq", "xd", "xs", "x16")
    )
    pv.record("elements of the 8-bit form that differ", wrong, limit=0, unit="elements")


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-009")
@pytest.mark.parametrize("kind", [*cuda.QUANTISED, GgmlType.F16], ids=lambda kind: kind.name)
def test_greedy_takes_the_first_of_the_largest(pv: Recorder, kind: GgmlType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuted by a token whose largest logit is at another row than numpy's argmax says, equal rows included.

    Tiles note their best, as they do for an output of 32768 rows and more. Seen failing under last_of_equals.
    """
    cuda.needs_run(pv)
    products, target, resident = (cuda.module(name) for name in ("products", "target", "resident"))
    monkeypatch.setattr(products, "OUTPUT_ROWS", 256)
    rows = 517
    weight, x = cuda.weight(kind, rows, 256), cuda.draw(2, 256)
    best = int(np.argmax(cuda.product(cuda.in_8_bits(x[:1]), weight)))
    data = weight.data.copy()
    data[[3, 4, rows - 1]] = weight.data[best]
    weight = replace(weight, data=data)
    with cuda.recorded(pv):
        chosen = resident.greedy(target.put(x), weight).cpu().numpy()
        logits = resident.matmul(target.put(x), weight).cpu().numpy()
    pv.record(
        "tokens chosen otherwise than by numpy", int((chosen != logits.argmax(axis=1)).sum()), limit=0, unit="tokens"
    )
    pv.record(
        "rows of the largest logit", int((logits[0] == logits[0].max()).sum()), limit=3, unit="rows", bound="at_least"
    )


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-010")
@pytest.mark.parametrize("tokens", [1, 5], ids=["decode", "prefill"])
def test_adjacent_pairs_turn_together(pv: Recorder, tokens: int) -> None:
    """Refuted by a pair (2i, 2i + 1) off by more than 1e-6 of its length, turned alone or on the way to the cache, or
    by a key in the cache that is not the float16 of what was turned.

    Expected: multiplication of complex numbers in float64. Seen failing under pairs_always_apart.
    """
    cuda.needs_run(pv)
    target, resident, sums = (cuda.module(name) for name in ("target", "resident", "sums"))
    positions = np.arange(7, 7 + tokens)
    given = [cuda.draw(tokens, heads, 10, seed=heads) for heads in (4, 2, 3)]
    given[2] = given[2][:, :2]
    cache = cuda.module("kv_cache").DeviceKvCache(1, 2, 10, 12)
    cache.append(0, *(target.put(cuda.draw(7, 2, 10, seed=number)) for number in (8, 9)))
    how = {"theta": 1e4, "rotary": Rotary(adjacent=True)}
    with cuda.recorded(pv):
        alone = cuda.module().rope(given[0], positions, **how)
        flat = [sums.Sum(target.put(x.reshape(1, tokens, -1)), shape=x.shape) for x in given]
        found = [x.cpu().numpy() for x in resident.rope_append(*flat, positions, cache, 0, **how)]
    worst = 0.0
    for out, x in ((alone, given[0]), (found[0], given[0]), (found[1], given[1])):
        pairs = x[..., ::2] + 1j * x[..., 1::2].astype(np.float64)
        turned = pairs * np.exp(1j * positions[:, None, None] * 1e4 ** (-np.arange(5) / 5))
        expected = np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)
        worst = max(worst, compare.worst_share(out, expected, np.repeat(np.abs(pairs), 2, axis=-1)))
    pv.record("error as a share of the pair's length", worst, limit=1e-6)
    keys = cache.view(0)[0].cpu().numpy()[7 : 7 + tokens]
    pv.record(
        "elements of the cache that differ", int((keys != found[1].astype(np.float16)).sum()), limit=0, unit="elements"
    )


@pytest.mark.falsifies("FALSIFY-CUDA-LAYERS-011")
@pytest.mark.parametrize("window", [1, 33], ids=["own slot", "a window"])
@pytest.mark.parametrize(("tokens", "before"), [(1, 150), (40, 30), (5, 0)], ids=["decode", "prefill", "short"])
def test_a_window_hides_what_is_older(pv: Recorder, tokens: int, before: int, window: int) -> None:
    """Refuted by a relative L2 above 1e-5 against float64 over the last `window` slots of each query; slots that no
    query sees, before and after, are NaN.

    Seen failing under window_ignored and window_one_too_wide.
    """
    cuda.needs_run(pv)
    slots = tokens + before
    q = cuda.draw(tokens, 4, 64) * 2
    keys, values = (np.full((slots + 70, 2, 64), np.nan, np.float32) for _ in range(2))
    oldest = max(0, before + 1 - window)
    for number, room in enumerate((keys, values)):
        room[oldest:slots] = cuda.draw(slots, 2, 64, seed=number)[oldest:].astype(np.float16)
    positions = np.arange(before, slots, dtype=np.int64)
    with cuda.recorded(pv):
        found = cuda.module().attention(q, keys, values, positions, window=window)
    expected = _attention(q, keys, values, positions, window)
    pv.record("relative L2", cuda.relative(found, expected), limit=1e-5)


def _attention(
    q: cuda.F32, keys: cuda.F32, values: cuda.F32, positions: npt.NDArray[np.int64], window: int = 1 << 30
) -> npt.NDArray[np.float64]:
    out = np.empty(q.shape)
    for t, position in enumerate(positions):
        for head in range(q.shape[1]):
            group = head // (q.shape[1] // keys.shape[1])
            in_sight = np.s_[max(0, position + 1 - window) : position + 1, group]
            scores = keys[in_sight].astype(np.float64) @ q[t, head].astype(np.float64) / np.sqrt(q.shape[2])
            share = np.exp(scores - scores.max())
            out[t, head] = share @ values[in_sight].astype(np.float64) / share.sum()
    return out
