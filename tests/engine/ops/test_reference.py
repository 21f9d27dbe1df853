"""Each operation against torch in float64, or by hand; the whole forward has its own judge in tests/engine/models."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from engine import quant
from engine.errors import BackendError, ShapeError
from engine.gguf.types import GgmlType
from engine.ops import BACKENDS, load_ops, reference
from engine.ops.protocol import Ops, Weight
from support.packed_weights import random_packed

RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


def weight(rows: int, cols: int, kind: GgmlType = GgmlType.F32) -> tuple[Weight, np.ndarray]:
    """A packed weight and its float32 values."""
    if kind not in quant.ENCODABLE:
        packed = random_packed(kind, rows, cols, RNG)
        return packed, quant.decode(kind, packed.data)
    raw = quant.encode(kind, normal(rows, cols))
    return Weight("w", kind, (rows, cols), raw), quant.decode(kind, raw)


def test_backend_by_name_is_the_module():
    ops: Ops = load_ops("reference")
    assert ops is reference
    assert ops.threads() >= 1
    assert ops.slow_types(frozenset(quant.SUPPORTED)) == ()


def test_unknown_backend_names_the_known():
    with pytest.raises(BackendError, match="backend 'tpu' is not in this version; available: cpu, cuda, reference"):
        load_ops("tpu")


def test_backend_that_cannot_be_imported_says_why(monkeypatch: pytest.MonkeyPatch):
    """As on a machine without numba; nothing else is tried."""
    monkeypatch.setitem(BACKENDS, "cpu", "engine.ops.no_such_module")
    with pytest.raises(BackendError, match=r"backend 'cpu' cannot start: No module named 'engine.ops.no_such_module'"):
        load_ops("cpu")


@pytest.mark.parametrize("kind", quant.SUPPORTED, ids=lambda kind: kind.name)
def test_embedding_is_the_rows_named(kind: GgmlType):
    packed, values = weight(7, 256, kind)
    ids = np.array([6, 0, 6, 3])
    assert_array_equal(reference.embedding(packed, ids), values[ids])


def test_embedding_refuses_an_id_outside():
    packed, _ = weight(7, 8)
    with pytest.raises(ShapeError, match=r"w: token id 7 is outside 0\.\.6"):
        reference.embedding(packed, np.array([1, 7]))


@pytest.mark.parametrize("kind", quant.SUPPORTED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("tokens", [1, 3])
def test_matmul_equals_float64(kind: GgmlType, tokens: int):
    packed, values = weight(5, 512, kind)
    x = normal(tokens, 512)
    expected = x.astype(np.float64) @ values.astype(np.float64).T
    # 512 products summed in float32: sqrt(512) roundings of a sum of order sqrt(512) times the size of a weight.
    size = float(np.abs(values).max()) / 4
    assert_allclose(reference.matmul(x, packed), expected, rtol=0, atol=512 * 2**-24 * 4 * max(1.0, size))


def test_matmul_decodes_a_slice_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """No float32 copy of a weight: at most 2 rows of 8 are decoded at once when 16 weights are allowed."""
    packed, values = weight(5, 8)
    sizes = []
    decode = quant.decode
    monkeypatch.setattr(reference, "_DECODED_WEIGHTS_AT_ONCE", 16)
    monkeypatch.setattr(quant, "decode", lambda kind, raw: sizes.append(len(raw)) or decode(kind, raw))
    x = normal(2, 8)
    assert_allclose(reference.matmul(x, packed), x @ values.T, rtol=1e-5, atol=1e-6)
    assert sizes == [2, 2, 1]


def test_matmul_refuses_another_row_length():
    packed, _ = weight(5, 8)
    with pytest.raises(ShapeError, match="w: rows have 8 weights, the activation has 7 values"):
        reference.matmul(normal(1, 7), packed)


def test_rms_norm_equals_torch():
    x, scale = normal(3, 37) * 20, normal(37)
    expected = torch.nn.functional.rms_norm(
        torch.from_numpy(x).double(), (37,), torch.from_numpy(scale).double(), eps=1e-6
    )
    assert_allclose(reference.rms_norm(x, scale, eps=1e-6), expected.numpy(), rtol=16 * 2**-24, atol=1e-7)


def test_rms_norm_epsilon_keeps_zero_finite():
    """By hand: 0 / sqrt(0 + eps) = 0; and 1e-3 / sqrt(1e-6 + 1e-6) = 1/sqrt(2)."""
    assert_array_equal(reference.rms_norm(np.zeros((1, 4), np.float32), np.ones(4, np.float32), eps=1e-6), 0)
    x = np.full((1, 4), 1e-3, np.float32)
    assert_allclose(reference.rms_norm(x, np.ones(4, np.float32), eps=1e-6), 0.5**0.5, rtol=1e-6)


def test_rope_by_hand():
    """Dh 4, theta 100: pair (0, 2) turns by p radians, pair (1, 3) by p / 10."""
    x = np.array([[[1, 2, 3, 4]]], dtype=np.float32)
    p = 5
    c, s, c10, s10 = np.cos(p), np.sin(p), np.cos(p / 10), np.sin(p / 10)
    expected = [c - 3 * s, 2 * c10 - 4 * s10, 3 * c + s, 4 * c10 + 2 * s10]
    assert_allclose(reference.rope(x, np.array([p]), theta=100)[0, 0], expected, rtol=1e-6)


def test_rope_keeps_lengths_and_relative_angles():
    """Rotations: norms stay, and the product of a query and a key depends on the difference of positions alone."""
    q, k = normal(1, 2, 16), normal(1, 2, 16)

    def product(position_q: int, position_k: int) -> np.ndarray:
        turned_q = reference.rope(q, np.array([position_q]), theta=10000)
        turned_k = reference.rope(k, np.array([position_k]), theta=10000)
        assert_allclose(np.linalg.norm(turned_q), np.linalg.norm(q), rtol=1e-5)
        return (turned_q * turned_k).sum(-1)

    assert_allclose(product(7, 3), product(1007, 1003), atol=1e-4)
    assert np.abs(product(7, 3) - product(8, 3)).max() > 1e-2


def test_rope_is_accurate_at_position_a_million():
    """A float32 angle would be wrong by up to 0.03 radians here."""
    x = np.array([[[1.0, 0.0]]], dtype=np.float32)
    turned = reference.rope(x, np.array([1_000_003]), theta=10000)[0, 0]
    assert_allclose(turned, [np.cos(1_000_003.0), np.sin(1_000_003.0)], atol=1e-6)


@pytest.mark.parametrize(("shape", "positions"), [((1, 1, 3), 1), ((2, 1, 4), 1)], ids=["odd", "too few positions"])
def test_rope_refuses(shape: tuple[int, ...], positions: int):
    with pytest.raises(ShapeError, match="rope: head dim"):
        reference.rope(np.zeros(shape, np.float32), np.arange(positions), theta=10000)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (3, 1), (2, 2)])
@pytest.mark.parametrize(("tokens", "slots"), [(1, 1), (1, 9), (5, 5), (3, 11)])
def test_attention_equals_torch(heads: int, kv_heads: int, tokens: int, slots: int):
    q, k, v = normal(tokens, heads, 8), normal(slots, kv_heads, 8), normal(slots, kv_heads, 8)
    positions = np.arange(slots - tokens, slots)
    mask = torch.from_numpy(np.arange(slots) <= positions[:, None])

    def lead(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(x).double().transpose(0, 1)[None]

    expected = torch.nn.functional.scaled_dot_product_attention(
        lead(q), lead(k), lead(v), attn_mask=mask, enable_gqa=True
    )[0].transpose(0, 1)
    assert_allclose(reference.attention(q, k, v, positions), expected.numpy(), rtol=0, atol=2e-6)


def test_attention_of_large_scores_does_not_overflow():
    q = np.full((1, 1, 4), 1e4, np.float32)
    k = np.stack([np.full((1, 4), 1e4), np.full((1, 4), -1e4)]).astype(np.float32)
    v = np.stack([np.full((1, 4), 1.0), np.full((1, 4), 2.0)]).astype(np.float32)
    assert_array_equal(reference.attention(q, k, v, np.array([1])), np.ones((1, 1, 4)))


def test_attention_refuses_a_query_that_is_not_cached():
    with pytest.raises(ShapeError, match="attention: 2 heads over 1 kv heads, 3 cached slots"):
        reference.attention(normal(1, 2, 4), normal(3, 1, 4), normal(3, 1, 4), np.array([3]))


def test_swiglu_equals_torch():
    gate, up = normal(3, 41) * 30, normal(3, 41)
    expected = torch.nn.functional.silu(torch.from_numpy(gate).double()).numpy() * up
    assert_allclose(reference.swiglu(gate, up), expected, rtol=1e-5, atol=1e-9)


def test_swiglu_has_its_limits_at_both_ends():
    """Without a warning: exp overflows at gate -1000 and the product is 0."""
    gate = np.array([[-1000, 1000]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(reference.swiglu(gate, np.ones_like(gate)), [[0, 1000]])


def test_add_and_bias():
    x, y, bias = normal(3, 5), normal(3, 5), normal(5)
    assert_array_equal(reference.add(x, y), x + y)
    assert_array_equal(reference.add_bias(x, bias), x + bias)


def test_arguments_are_not_written_to():
    gate, up = normal(2, 6), normal(2, 6)
    heads = normal(2, 1, 6)
    for array in (gate, up, heads):
        array.flags.writeable = False
    reference.swiglu(gate, up)
    reference.rms_norm(gate, up[0], eps=1e-6)
    reference.add(gate, up)
    reference.add_bias(gate, up[0])
    reference.rope(heads, np.arange(2), theta=10000)
    reference.attention(heads, heads, heads, np.arange(2))
