"""The other operations under the interpreter, against float64 on odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.errors import ContextError, ShapeError
from engine.ops import cuda
from engine.ops.cuda import activations, configs, resident, target
from engine.ops.cuda.kv_cache import DeviceKvCache

EPS = 2.0**-24
"""Half a unit in the last place of 1: the largest relative error of one float32 rounding."""


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng([7, *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("tokens", "size"), [(1, 1), (5, 255), (2, 256), (0, 64), (9, 100)])
def test_rms_norm(tokens: int, size: int) -> None:
    x, weight = draw(tokens, size) * 100, draw(size)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt(np.mean(wide**2, axis=1, keepdims=True) + 1e-6) * weight
    np.testing.assert_allclose(cuda.rms_norm(x, weight, eps=1e-6), expected, rtol=16 * EPS)


def test_rms_norm_of_zeros_is_zero() -> None:
    np.testing.assert_array_equal(cuda.rms_norm(np.zeros((1, 64), np.float32), np.ones(64, np.float32), eps=1e-6), 0)


@pytest.mark.parametrize(("tokens", "size"), [(1, 3), (3, 1100), (2, 64)])
def test_swiglu(tokens: int, size: int) -> None:
    gate, up = draw(tokens, size) * 10, draw(tokens, size + 1)[:, :size].copy()
    gate[0, 0] = -200.0
    wide = gate.astype(np.float64)
    expected = wide / (1 + np.exp(-wide)) * up
    np.testing.assert_allclose(cuda.swiglu(gate, up), expected, rtol=1e-6, atol=1e-36)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1025), (0, 8)])
def test_additions_are_one_rounding(shape: tuple[int, int]) -> None:
    x, y, bias = draw(*shape), draw(*shape) * 3, draw(shape[1])
    np.testing.assert_array_equal(cuda.add(x, y), x + y)
    np.testing.assert_array_equal(cuda.add_bias(x, bias), x + bias)


def test_a_fused_8_bit_form_is_that_of_the_quantiser() -> None:
    """Norm and SwiGLU quantise what they store: bit for bit what a separate launch makes of it."""
    x, weight = draw(3, 256), draw(256)
    for out in (
        resident.rms_norm(target.put(x), weight, eps=1e-6),
        resident.swiglu(target.put(x), target.put(draw(3, 256) * 2)),
    ):
        fused, separate = out.quantised, activations.quantised(out.clone())
        for field in ("xq", "xd", "xs", "x16"):
            assert torch.equal(getattr(fused, field), getattr(separate, field)), field


@pytest.mark.parametrize(("tokens", "heads", "head_dim"), [(1, 4, 64), (5, 3, 6), (2, 1, 2), (3, 28, 128)])
@pytest.mark.parametrize("start", [0, 3, 100_000])
def test_rope(tokens: int, heads: int, head_dim: int, start: int) -> None:
    """As rotation of complex numbers in float64; error as a share of the pair's length."""
    x, positions = draw(tokens, heads, head_dim), np.arange(tokens, dtype=np.int64) * 997 + start
    half = head_dim // 2
    angles = positions[:, None, None] * 10000.0 ** (-2 * np.arange(half) / head_dim)
    turned = (x[..., :half] + 1j * x[..., half:].astype(np.float64)) * np.exp(1j * angles)
    found = cuda.rope(x, positions, theta=10000.0)
    error = np.abs(found[..., :half] + 1j * found[..., half:].astype(np.float64) - turned)
    assert (error / np.abs(turned)).max() <= 1e-6


def test_rope_at_position_0_is_the_identity() -> None:
    x = draw(1, 2, 64)
    np.testing.assert_array_equal(cuda.rope(x, np.zeros(1, np.int64), theta=10000.0), x)


def test_rope_refuses_odd_heads_and_missing_positions() -> None:
    with pytest.raises(ShapeError, match=r"head dim 3 must be even"):
        cuda.rope(draw(1, 1, 3), np.zeros(1, np.int64), theta=1e4)
    with pytest.raises(ShapeError, match=r"positions \(2,\) be \(1,\)"):
        cuda.rope(draw(1, 1, 4), np.zeros(2, np.int64), theta=1e4)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """In float64, one query after the other."""
    out = np.empty(q.shape)
    group = q.shape[1] // k.shape[1]
    for t, position in enumerate(positions):
        for h in range(q.shape[1]):
            seen = k[: position + 1, h // group].astype(np.float64)
            scores = seen @ q[t, h].astype(np.float64) / np.sqrt(q.shape[2])
            share = np.exp(scores - scores.max())
            out[t, h] = share @ v[: position + 1, h // group] / share.sum()
    return out


@pytest.mark.parametrize(
    ("tokens", "before", "heads", "kv_heads", "head_dim"),
    [(1, 0, 4, 2, 64), (1, 130, 7, 1, 128), (1, 63, 2, 2, 6), (1, 64, 4, 1, 16), (5, 0, 3, 3, 10), (37, 50, 4, 2, 64)],
    ids=["first token", "several parts", "odd width", "full tile", "prompt", "prompt after a prompt"],
)
def test_attention(tokens: int, before: int, heads: int, kv_heads: int, head_dim: int) -> None:
    """Relative L2 1e-5 on float16 keys and values; slots after the last position hold NaN."""
    slots = tokens + before
    q = draw(tokens, heads, head_dim) * 3
    k, v = (draw(slots, kv_heads, head_dim + i)[..., :head_dim].astype(np.float16).astype(np.float32) for i in (0, 1))
    positions = np.arange(before, slots, dtype=np.int64)
    expected = attention(q, k, v, positions)
    room = np.full((slots + 70, kv_heads, head_dim), np.nan, np.float32)
    keys, values = room.copy(), room.copy()
    keys[:slots], values[:slots] = k, v
    found = cuda.attention(q, keys, values, positions)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) <= 1e-5


def test_attention_with_large_scores_does_not_overflow() -> None:
    q, k, v = draw(1, 1, 16) * 1000, draw(9, 1, 16).astype(np.float16).astype(np.float32) * 8, draw(9, 1, 16)
    v = v.astype(np.float16).astype(np.float32)
    positions = np.array([8])
    np.testing.assert_allclose(cuda.attention(q, k, v, positions), attention(q, k, v, positions), rtol=1e-4, atol=1e-5)


def test_tuned_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configs.TABLES, 0, configs.TABLES[90])
    k, v = draw(70, 2, 16).astype(np.float16).astype(np.float32), draw(70, 2, 16).astype(np.float16).astype(np.float32)
    for tokens in (1, 70):
        q, positions = draw(tokens, 4, 16), np.arange(70 - tokens, 70)
        expected = attention(q, k, v, positions)
        found = cuda.attention(q, k, v, positions)
        assert np.linalg.norm(found - expected) / np.linalg.norm(expected) <= 1e-5


def test_attention_refuses_a_position_outside_the_cache() -> None:
    with pytest.raises(ShapeError, match=r"4 heads over 2 kv heads, 3 cached slots"):
        cuda.attention(draw(1, 4, 8), draw(3, 2, 8), draw(3, 2, 8), np.array([3]))


def test_no_tokens() -> None:
    assert cuda.attention(draw(0, 4, 8), draw(3, 2, 8), draw(3, 2, 8), np.empty(0, np.int64)).shape == (0, 4, 8)
    assert cuda.rope(draw(0, 4, 8), np.empty(0, np.int64), theta=1e4).shape == (0, 4, 8)


def test_the_cache_keeps_what_numpy_would_round() -> None:
    cache = DeviceKvCache(2, 2, 8, 6)
    k, v = draw(5, 2, 8), draw(5, 2, 8) * 2
    for layer in (0, 1):
        cache.append(layer, target.put(k[:3]), target.put(v[:3]))
    assert cache.length == 3
    for layer in (0, 1):
        cache.append(layer, target.put(k[3:]), target.put(v[3:]))
    assert cache.length == 5
    for layer in (0, 1):
        keys, values = cache.view(layer)
        np.testing.assert_array_equal(keys[:5].numpy(), k.astype(np.float16))
        np.testing.assert_array_equal(values[:5].numpy(), v.astype(np.float16))
    cache.truncate(4)
    assert cache.length == 4
    cache.reset()
    assert cache.length == 0
    assert cache.size_bytes == 2 * 2 * 6 * 2 * 8 * 2


def test_the_cache_refuses_what_does_not_fit() -> None:
    cache = DeviceKvCache(1, 2, 8, 4)
    with pytest.raises(ContextError, match=r"5 positions are more than the context of 4 holds"):
        cache.append(0, target.put(draw(5, 2, 8)), target.put(draw(5, 2, 8)))
    with pytest.raises(ShapeError, match=r"expected \(T, \*\(2, 8\)\)"):
        cache.append(0, target.put(draw(1, 2, 6)), target.put(draw(1, 2, 6)))
