"""Types without a kernel, decoded by torch, against `engine.quant`, whose own judge is the gguf package."""

from __future__ import annotations

import numpy as np
import pytest

from engine import quant
from engine.gguf.types import GgmlType
from engine.ops import cuda
from engine.ops.cuda import decode, products, resident, target, weights
from engine.ops.protocol import Weight
from support.packed_weights import random_packed

KINDS = tuple(decode.DECODERS)


def name(kind: GgmlType) -> str:
    return kind.name


def random_weight(kind: GgmlType, rows: int, columns: int) -> Weight:
    return random_packed(kind, rows, columns, np.random.default_rng([kind, rows]))


def test_every_type_has_a_kernel_or_a_decoder() -> None:
    assert set(KINDS) | weights.KERNEL_TYPES == set(quant.SUPPORTED)
    assert not set(KINDS) & weights.KERNEL_TYPES


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_decoded_on_the_device_bit_for_bit(kind: GgmlType, rows: int) -> None:
    weight = random_weight(kind, rows, 768)
    found = decode.decode(kind, target.put(weight.data)).numpy()
    np.testing.assert_array_equal(found.view(np.uint32), quant.decode(kind, weight.data).view(np.uint32))


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize("tokens", [0, 1, 9])
def test_products_of_decoded_slices(kind: GgmlType, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slices of two rows and one of one; float32 sums of 512 products: 1e-6 of the result."""
    monkeypatch.setattr(products, "DECODED_WEIGHTS_AT_ONCE", 2 * 512)
    weight = random_weight(kind, 7, 512)
    x = np.random.default_rng(tokens).standard_normal((tokens, 512)).astype(np.float32)
    expected = x.astype(np.float64) @ quant.decode(kind, weight.data).astype(np.float64).T
    found = cuda.matmul(x, weight)
    assert found.shape == (tokens, 7)
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
    exact = resident.exact_matmul(target.put(x), weight).numpy()
    np.testing.assert_array_equal(exact.view(np.uint32), found.view(np.uint32))


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_the_device_holds_the_bytes_of_the_file(kind: GgmlType) -> None:
    weight = random_weight(kind, 5, 512)
    assert weights.upload(weight).size_bytes == weight.data.nbytes


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize("ids", [[], [4], [4, 0, 4]], ids=["none", "one", "repeated"])
def test_embedding_rows(kind: GgmlType, ids: list[int]) -> None:
    weight = random_weight(kind, 5, 512)
    rows = np.array(ids, np.int64)
    np.testing.assert_array_equal(cuda.embedding(weight, rows), quant.decode(kind, weight.data[rows]))
