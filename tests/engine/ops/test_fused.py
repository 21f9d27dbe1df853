"""The steps of a layer that a backend may do in one go: what they are made of, and whose they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine import quant
from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.kv_cache import KvCache
from engine.ops import Ops, fused, load_ops, reference
from engine.ops.protocol import Weight


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def weight(rows: int, columns: int) -> Weight:
    return Weight("w", GgmlType.F32, (rows, columns), quant.encode(GgmlType.F32, draw(rows, columns)))


@pytest.fixture(params=["reference", "cpu"])
def ops(request: pytest.FixtureRequest) -> Ops:
    return load_ops(request.param)


def test_each_weight_has_its_product(ops: Ops) -> None:
    x, weights = draw(3, 8), [weight(5, 8), weight(2, 8)]
    for found, one in zip(fused.multiply_all(ops, x, weights), weights, strict=True):
        assert_array_equal(found, ops.matmul(x, one))
    assert not fused.multiply_all(ops, x, [])


def test_keys_turn_and_values_do_not(ops: Ops) -> None:
    q, k, v, positions = draw(2, 4, 6), draw(2, 2, 6), draw(2, 2, 6) * 2, np.array([3, 4])
    cache = KvCache(1, 2, 6, 8)
    cache.append(0, draw(3, 2, 6), draw(3, 2, 6))
    q_rope, k_rope = fused.rope_append(ops, q, k, v, positions, cache, 0, theta=100.0)
    assert_array_equal(q_rope, ops.rope(q, positions, theta=100.0))
    keys, values = cache.view(0)
    assert_array_equal(keys[3:], k_rope)
    assert_array_equal(k_rope, ops.rope(k, positions, theta=100.0))
    assert_array_equal(values[3:], v)
    assert cache.length == 5


def test_a_position_too_few_is_refused_before_anything_is_stored(ops: Ops) -> None:
    cache = KvCache(1, 2, 6, 8)
    with pytest.raises(ShapeError, match=r"positions \(1,\) be \(2,\)"):
        fused.rope_append(ops, draw(2, 4, 6), draw(2, 2, 6), draw(2, 2, 6), np.array([0]), cache, 0, theta=100.0)
    assert cache.length == 0


def test_product_and_sum_are_both_given(ops: Ops) -> None:
    x, residual, one = draw(2, 8), draw(2, 5), weight(5, 8)
    product, total = fused.add_product(ops, residual, x, one)
    assert_array_equal(product, ops.matmul(x, one))
    assert_array_equal(total, residual + product)


def test_gate_is_gated_and_up_is_not(ops: Ops) -> None:
    x, gate, up = draw(2, 8), weight(5, 8), weight(5, 8)
    up = Weight("up", up.type, up.shape, up.data[::-1].copy())
    left, right, activated = fused.gated_product(ops, x, gate, up)
    assert_array_equal(left, ops.matmul(x, gate))
    assert_array_equal(right, ops.matmul(x, up))
    assert_array_equal(activated, ops.swiglu(left, right))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("multiply_all", 2), ("rope_append", 6), ("add_product", 3), ("gated_product", 3)],
)
def test_a_backend_that_has_its_own_is_asked(name: str, arguments: int) -> None:
    """With the same arguments after `ops`, and nothing else of it is called."""
    given = [object() for _ in range(arguments)]
    options: dict[str, Any] = {"theta": 1.0} if name == "rope_append" else {}
    seen = []
    own = SimpleNamespace(**{name: lambda *arguments, **named: seen.append((arguments, named)) or "its own"})
    assert getattr(fused, name)(own, *given, **options) == "its own"
    assert seen == [(tuple(given), options)]


def test_the_definition_has_none_of_its_own() -> None:
    for name in ("multiply_all", "rope_append", "add_product", "gated_product"):
        assert not hasattr(reference, name)
