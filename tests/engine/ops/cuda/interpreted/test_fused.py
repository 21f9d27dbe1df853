"""Kernels that do several steps of a layer at once, beside the steps one by one; those have tests of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine import quant
from engine.errors import ContextError, ShapeError
from engine.gguf.types import GgmlType
from engine.ops import cuda
from engine.ops.cuda import activations, launch, products, residence, resident, target
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.sums import Sum
from engine.ops.protocol import Weight
from support.packed_weights import random_packed

KINDS = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0, GgmlType.F32, GgmlType.F16, GgmlType.BF16)
name = lambda value: getattr(value, "name", None) or str(value)  # noqa: E731


@pytest.fixture(autouse=True)
def _poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory is NaN, so that an element nobody writes shows."""
    original = torch.empty

    def poisoned(*arguments: object, **options: object) -> torch.Tensor:
        tensor = original(*arguments, **options)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor.fill_(77)

    monkeypatch.setattr(torch, "empty", poisoned)


def draw(*shape: int, seed: int = 3) -> Any:
    return torch.from_numpy(np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32))


def packed(kind: GgmlType, rows: int, columns: int, seed: int = 0) -> Weight:
    return random_packed(kind, rows, columns, np.random.default_rng([seed, rows, columns]))


def equal(a: Any, b: Any) -> None:
    """Bit for bit, so that NaN equals itself and -0 is not 0."""
    np.testing.assert_array_equal(a.contiguous().numpy().view(np.uint8), b.contiguous().numpy().view(np.uint8))


def split(parts: int, tokens: int, heads: int, head_dim: int, *, bias: bool, seed: int) -> Sum:
    """What a product leaves, in the middle of wider rows, as where q, k and v share a launch."""
    size = heads * head_dim
    wide = draw(parts, tokens, size + 5, seed=seed)
    return Sum(wide[:, :, 3:-2], bias=draw(size, seed=seed) if bias else None, shape=(tokens, heads, head_dim))


@pytest.mark.parametrize("head_dim", [2, 6, 64])
@pytest.mark.parametrize(("tokens", "before", "parts", "bias"), [(1, 0, 1, True), (1, 7, 3, True), (5, 2, 1, False)])
def test_rope_append_is_rope_and_append(head_dim: int, tokens: int, before: int, parts: int, bias: bool) -> None:
    """Bit for bit, with its sums and biases; slots before and after stay as they are."""
    heads = {"q": 4, "k": 2, "v": 2}
    sums = {
        key: split(parts, tokens, number, head_dim, bias=bias, seed=number + len(key))
        for key, number in heads.items()
    }  # fmt: skip
    positions = np.arange(before, before + tokens)
    alone, together = (DeviceKvCache(2, 2, head_dim, 12) for _ in range(2))
    for cache in (alone, together):
        if before:
            for layer in (0, 1):
                cache.append(layer, draw(before, 2, head_dim), draw(before, 2, head_dim, seed=8))
    q, k = (resident.rope(sums[key], positions, theta=1e4) for key in "qk")
    alone.append(1, k, sums["v"])
    untouched = [room.clone() for room in together.view(1)]
    found_q, found_k = resident.rope_append(*sums.values(), positions, together, 1, theta=1e4)
    equal(found_q, q)
    equal(found_k, k)
    for mine, theirs, was in zip(together.view(1), alone.view(1), untouched, strict=True):
        equal(mine[before : before + tokens], theirs[before : before + tokens])
        equal(mine[:before], was[:before])
        equal(mine[before + tokens :], was[before + tokens :])
    assert together.length == alone.length == before + tokens


def test_rope_append_is_one_launch_and_refuses_what_does_not_fit() -> None:
    cache = DeviceKvCache(1, 2, 8, 4)
    q, k = draw(3, 4, 8), draw(3, 2, 8)
    before = launch.counts()
    resident.rope_append(q, k, k, np.arange(3), cache, 0, theta=1e4)
    assert launch.since(before) == {"rope_append": 1}
    with pytest.raises(ContextError, match=r"6 positions are more than the context of 4 holds"):
        resident.rope_append(q, k, k, np.arange(3, 6), cache, 0, theta=1e4)
    with pytest.raises(ShapeError, match=r"positions \(2,\) be \(3,\)"):
        resident.rope_append(q, k, k, np.arange(2), cache, 0, theta=1e4)
    with pytest.raises(ShapeError, match=r"expected \(T, \*\(2, 8\)\)"):
        resident.rope_append(q, q, q, np.arange(3), cache, 0, theta=1e4)
    resident.rope_append(q[:0], k[:0], k[:0], np.arange(0), cache, 0, theta=1e4)
    assert cache.length == 3


@pytest.mark.parametrize("tokens", [1, 9])
def test_products_of_one_type_share_a_launch(tokens: int) -> None:
    """Bit for bit what each is alone, however many rows stand above it; v of another type has its own launch."""
    hosts = [packed(GgmlType.Q4_K, 70, 512), packed(GgmlType.Q4_K, 33, 512, 1), packed(GgmlType.Q6_K, 33, 512)]
    x = draw(tokens, 512)
    held = residence.Residence()
    before = launch.counts()
    with held.entered():
        together = resident.multiply_all(x, hosts)
    launches = launch.since(before)
    suffix = "matvec" if tokens == 1 else "matmul"
    assert launches[f"q4_k_{suffix}"] == launches[f"q6_k_{suffix}"] == 1
    for product, host in zip(together, hosts, strict=True):
        equal(product.cpu(), resident.matmul(x, host))
    assert held.size_bytes == sum(host.data.nbytes for host in hosts)
    with held.entered():
        equal(resident.matmul(x, hosts[1]), together[1].cpu())
        assert residence.stack(hosts[1:]) is None, "a weight lies on the device once"


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize(("tokens", "size"), [(1, 96), (2, 70), (9, 64)], ids=["tail", "no 8-bit form", "prefill"])
def test_gated_product(kind: GgmlType, tokens: int, size: int) -> None:
    """SwiGLU of the very products that taps see, whose values are those of single products; one launch in decode."""
    gate, up = packed(kind, size, 256), packed(kind, size, 256, 1)
    x = draw(tokens, 256) / 4
    activations.quantised(x)
    before = launch.counts()
    left, right, activated = resident.gated_product(x, gate, up)
    if tokens <= products.MATVEC_TOKENS:
        assert sum(launch.since(before).values()) == 1
    for found, host in ((left, gate), (right, up)):
        expected = resident.matmul(x, host)
        assert torch.linalg.norm(found - expected) <= 1e-6 * torch.linalg.norm(expected)
    equal(activated, resident.swiglu(left, right))
    if tokens <= products.MATVEC_TOKENS and size % 32 == 0:
        form, apart = activated.quantised, activations.quantised(activated.clone())
        for field in ("xq", "xd", "xs", "x16"):
            equal(getattr(form, field), getattr(apart, field))


def test_gate_and_up_of_two_types_are_two_products() -> None:
    gate, up, x = packed(GgmlType.Q4_K, 40, 256), packed(GgmlType.Q6_K, 40, 256), draw(1, 256)
    left, right, activated = resident.gated_product(x, gate, up)
    equal(left, resident.matmul(x, gate))
    equal(right, resident.matmul(x, up))
    equal(activated, resident.swiglu(left, right))


def test_the_exact_mode_is_exact_in_fused_products() -> None:
    gate, up, x = packed(GgmlType.Q4_K, 40, 256), packed(GgmlType.Q4_K, 40, 256, 1), draw(1, 256)
    with residence.Residence(exact=True).entered():
        left, _, _ = resident.gated_product(x, gate, up)
        [product] = resident.multiply_all(x, [gate])
    expected = x.numpy().astype(np.float64) @ quant.decode(gate.type, gate.data).astype(np.float64).T
    for found in (left, product.cpu()):
        assert np.linalg.norm(found.numpy() - expected) <= 2e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize(("tokens", "size", "parts"), [(1, 100, 3), (2, 256, 1), (9, 257, 4), (3, 1, 2)])
def test_a_norm_adds_up_what_it_reads(tokens: int, size: int, parts: int) -> None:
    """Bit for bit the sum by itself and the norm of it, and looking at the sum before changes nothing."""
    weight = draw(size).numpy()
    terms, residual = draw(parts, tokens, size), draw(tokens, size, seed=5) * 8
    x = Sum(terms, residual=residual)
    seen = x.cpu()
    total = terms[0].clone()
    for part in terms[1:]:
        total += part
    equal(seen, residual + total)
    found = resident.rms_norm(x, weight, eps=1e-6)
    equal(x.cpu(), seen)
    equal(found, resident.rms_norm(seen, weight, eps=1e-6))
    equal(x[-1:].cpu(), seen[-1:])


def test_the_float16_form_of_a_norm_is_that_of_half_rows() -> None:
    x = draw(9, 96)
    x[1] = 0
    x[2] *= 1e6
    x[3, 5] = float("nan")
    out = resident.rms_norm(x, draw(96).numpy(), eps=1e-6)
    for fused, apart in zip(activations.halves(out), activations.halves(out.clone()), strict=True):
        nan = torch.isnan(apart)
        assert torch.equal(torch.isnan(fused), nan)
        equal(fused[~nan], apart[~nan])


@pytest.mark.parametrize("head_dim", [64, 6])
def test_attention_quantises_for_its_product(head_dim: int) -> None:
    q, k, v = draw(1, 4, head_dim), draw(9, 2, head_dim).half(), draw(9, 2, head_dim, seed=1).half()
    out = resident.attention(q, k, v, np.array([8])).reshape(1, 4 * head_dim).added()
    form = getattr(out, "quantised", None)
    assert (form is not None) == (head_dim % 32 == 0)
    if form is not None:
        apart = activations.quantised(out.clone())
        for field in ("xq", "xd", "xs", "x16"):
            equal(getattr(form, field), getattr(apart, field))


def test_a_bias_after_a_bias_is_added() -> None:
    x, first, second = draw(2, 2, 40), draw(40).numpy(), draw(40, seed=9).numpy()
    once = resident.add_bias(Sum(x), first)
    assert isinstance(once, Sum)
    equal(settle(resident.add_bias(once, second)), settle(once) + target.put(second))


def settle(x: Any) -> Any:
    return x if isinstance(x, torch.Tensor) else x.cpu()


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_a_near_tie_goes_to_the_smallest_row(kind: GgmlType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same row twice, in two tiles and within one: the first of them, as numpy chooses."""
    monkeypatch.setattr(products, "OUTPUT_ROWS", 1)
    host, x = packed(kind, 300, 256), draw(2, 256)
    best = int(cuda.matmul(x[:1].numpy(), host).argmax())
    data = host.data.copy()
    for row in (70, 71, 290):
        data[row] = host.data[best]
    data[best] = host.data[71]
    twice = Weight("w", kind, host.shape, data)
    found = resident.greedy(x, twice).numpy()
    np.testing.assert_array_equal(found, cuda.matmul(x.numpy(), twice).argmax(axis=1))
    assert found[0] == 70
