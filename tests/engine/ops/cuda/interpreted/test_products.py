"""Products under the interpreter, against float64; expected weights come from `engine.quant`, tested elsewhere."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from engine import quant
from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops import cuda, reference
from engine.ops.cuda import configs, decode, exact, launch, products, resident, target, weights
from engine.ops.cuda.launch import Launch
from engine.ops.cuda.sums import Sum
from engine.ops.protocol import Weight
from falsifiers.support import cuda as cuda_support
from support.packed_weights import random_packed

QUANTISED = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0)
FLOATS = (GgmlType.F32, GgmlType.F16, GgmlType.BF16)
name = lambda value: getattr(value, "name", None) or str(value)  # noqa: E731


def draw(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng([seed, rows, columns]).standard_normal((rows, columns)).astype(np.float32)


def with_outliers(x: np.ndarray) -> np.ndarray:
    """0.2 % of the channels are 50 times the rest, as in real models."""
    x = x.copy()
    x[:, ::500] *= 50
    return x


def in_8_bits(x: np.ndarray) -> np.ndarray:
    """What x is after quantising in blocks of 32, in float64; numpy's own rounding and division."""
    blocks = x.reshape(len(x), -1, 32)
    d = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127)
    q = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
    return (q.astype(np.float64) * d).reshape(x.shape)


def packed(kind: GgmlType, rows: int, columns: int) -> Weight:
    return random_packed(kind, rows, columns, np.random.default_rng([rows, columns]))


def product(x: np.ndarray, weight: Weight) -> np.ndarray:
    return x.astype(np.float64) @ quant.decode(weight.type, weight.data).astype(np.float64).T


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(autouse=True)
def _poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory is NaN, so that an element nobody writes shows."""
    original = torch.empty

    def poisoned(*arguments: object, **options: object) -> torch.Tensor:
        tensor = original(*arguments, **options)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor.fill_(77)

    monkeypatch.setattr(torch, "empty", poisoned)


@pytest.mark.parametrize("kind", QUANTISED, ids=name)
@pytest.mark.parametrize(
    ("tokens", "rows", "blocks"),
    [(1, 1, 1), (1, 16, 2), (1, 37, 3), (2, 65, 6), (1, 130, 14), (8, 5, 1)],
    ids=["one row", "one tile", "odd blocks", "two tokens", "blocks of 3584", "most tokens"],
)
def test_integer_path_repeats_the_same_8_bit_activations(kind: GgmlType, tokens: int, rows: int, blocks: int) -> None:
    """Relative L2 1e-6: the integers are exact, a float32 sum of some hundred terms is left."""
    weight, x = packed(kind, rows, 256 * blocks), with_outliers(draw(tokens, 256 * blocks))
    assert relative(cuda.matmul(x, weight), product(in_8_bits(x), weight)) <= 1e-6


def test_q8_0_rows_need_not_be_a_multiple_of_256() -> None:
    weight, x = packed(GgmlType.Q8_0, 9, 32 * 7), draw(1, 32 * 7)
    assert relative(cuda.matmul(x, weight), product(in_8_bits(x), weight)) <= 1e-6


@pytest.mark.parametrize("kind", QUANTISED, ids=name)
@pytest.mark.parametrize(("change", "limit"), [(lambda x: x, 1e-4), (with_outliers, 5e-4)], ids=["normal", "outliers"])
def test_integer_path_is_near_exact_activations(kind: GgmlType, change: object, limit: float) -> None:
    """NMSE, the square of relative L2: 2.3e-5 to 6.4e-5 measured by others on such inputs."""
    weight, x = packed(kind, 48, 1024), change(draw(2, 1024))  # type: ignore[operator]
    assert relative(cuda.matmul(x, weight), product(x, weight)) ** 2 <= limit


@pytest.mark.parametrize("kind", [*QUANTISED, *FLOATS], ids=name)
@pytest.mark.parametrize(("tokens", "rows", "columns"), [(1, 37, 768), (3, 1, 256), (1, 1, 256), (11, 70, 256)])
def test_exact_mode_repeats_the_reference(kind: GgmlType, tokens: int, rows: int, columns: int) -> None:
    """Relative L2 2e-6: float32 sums of up to 768 terms, at most 512 lanes."""
    weight, x = packed(kind, rows, columns), with_outliers(draw(tokens, columns))
    assert relative(exact.matmul(x, weight), product(x, weight)) <= 2e-6


@pytest.mark.parametrize("kind", FLOATS, ids=name)
@pytest.mark.parametrize(("tokens", "rows", "columns"), [(1, 3, 1), (2, 65, 31), (9, 33, 1025)])
def test_plain_weights_of_any_width(kind: GgmlType, tokens: int, rows: int, columns: int) -> None:
    weight, x = packed(kind, rows, columns), draw(tokens, columns)
    assert relative(cuda.matmul(x, weight), product(x, weight)) <= 1e-6


@pytest.mark.parametrize("kind", QUANTISED, ids=name)
@pytest.mark.parametrize(("tokens", "rows", "blocks"), [(9, 17, 1), (33, 65, 3), (40, 130, 2)])
def test_prefill_is_a_float16_product(kind: GgmlType, tokens: int, rows: int, blocks: int) -> None:
    """NMSE 1e-6: two roundings to float16 of 2^-12 relative deviation each give 1e-7."""
    weight, x = packed(kind, rows, 256 * blocks), draw(tokens, 256 * blocks)
    x[0] *= 1e6  # float16 ends at 65504; rows are scaled
    x[1] *= 1e-9
    found, expected = cuda.matmul(x, weight), product(x, weight)
    for row in (0, 1, 2, tokens - 1):
        assert relative(found[row : row + 1], expected[row : row + 1]) ** 2 <= 1e-6


@pytest.mark.parametrize("tokens", [1, 12])
@pytest.mark.parametrize("kind", QUANTISED, ids=name)
def test_tuned_tiles(kind: GgmlType, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiles that a GPU gets, on a shape with a tail in every direction."""
    monkeypatch.setitem(configs.TABLES, 0, configs.TABLES[90])
    weight, x = packed(kind, 17, 512), draw(tokens, 512)
    limit = 1e-6 if tokens == 1 else 1e-3
    expected = product(in_8_bits(x) if tokens == 1 else x, weight)
    assert relative(cuda.matmul(x, weight), expected) <= limit
    assert relative(exact.matmul(x, weight), product(x, weight)) <= 2e-6


@pytest.mark.parametrize("kind", [*QUANTISED, *FLOATS], ids=name)
def test_nothing_in_nothing_out(kind: GgmlType) -> None:
    before = launch.counts()
    assert cuda.matmul(np.empty((0, 256), np.float32), packed(kind, 3, 256)).shape == (0, 3)
    assert cuda.matmul(draw(1, 256), packed(kind, 0, 256)).shape == (1, 0)
    assert exact.matmul(np.empty((0, 256), np.float32), packed(kind, 3, 256)).shape == (0, 3)
    assert exact.matmul(draw(1, 256), packed(kind, 0, 256)).shape == (1, 0)
    assert exact.matmul(draw(9, 256), packed(kind, 0, 256)).shape == (9, 0)
    assert {key for key in launch.since(before) if "mat" in key} == set()


@pytest.mark.parametrize("kind", QUANTISED, ids=name)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("tokens", [1, 9])
def test_a_value_that_is_not_finite_is_not_lost(kind: GgmlType, bad: float, tokens: int) -> None:
    """Rounding to integers, or a maximum that skips NaN, would turn it into a plausible number."""
    x = draw(tokens, 512)
    x[0, 300] = bad
    found = cuda.matmul(x, packed(kind, 5, 512))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


@pytest.mark.parametrize("kind", QUANTISED, ids=name)
def test_zero_activations_give_zero(kind: GgmlType) -> None:
    for tokens in (1, 9):
        found = cuda.matmul(np.zeros((tokens, 512), np.float32), packed(kind, 5, 512))
        np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("kind", QUANTISED, ids=name)
def test_one_token_is_what_it_is_among_others(kind: GgmlType) -> None:
    """Bitwise: the tokens of a batch do not share sums."""
    weight, x = packed(kind, 19, 512), draw(5, 512)
    together = cuda.matmul(x, weight)
    alone = np.concatenate([cuda.matmul(x[t : t + 1], weight) for t in range(5)])
    np.testing.assert_array_equal(together.view(np.uint32), alone.view(np.uint32))


def test_split_sums_are_in_order() -> None:
    """Three parts whose float32 sum depends on the order: (1e8 - 1e8) + 1, not 1e8 + (-1e8 + 1)."""
    parts = torch.tensor([[[1e8, 1.0, 7.0]], [[-1e8, 2.0, 7.0]], [[1.0, 3.0, 7.0]]])[:, :, :2]
    np.testing.assert_array_equal(Sum(parts).added().numpy(), [[1.0, 6.0]])
    total = Sum(parts, bias=torch.tensor([2.0**-24, 1.0]), residual=torch.tensor([[-1.0, 4.0]]))
    np.testing.assert_array_equal(total.added().numpy(), [[0.0, 11.0]])
    np.testing.assert_array_equal(total.reshape(1, 2, 1).cpu().numpy(), [[[0.0], [11.0]]])


@pytest.mark.parametrize(("rows", "steps"), [(512, 7), (2048, 1), (3584, 37), (8192, 2), (152064, 7), (16, 5)])
def test_every_split_has_a_step(rows: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configs.TABLES, 0, configs.TABLES[90])
    splits = configs.splits((rows, 3584), steps)
    per_split = -(-steps // splits)
    assert 1 <= splits <= 7
    assert (splits - 1) * per_split < steps <= splits * per_split


def test_wrong_width_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"w: rows have 256 weights, the activation has 512 values"):
        cuda.matmul(draw(1, 512), packed(GgmlType.Q4_K, 3, 256))


def test_a_slow_type_among_fused_products_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """As in a layer, where no product passes through `matmul`."""
    decode.warn.cache_clear()
    resident.multiply_all(target.put(draw(1, 256)), [packed(GgmlType.Q3_K, 6, 256)])
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["Q3_K"]


def test_types_without_a_kernel_are_decoded_and_named(caplog: pytest.LogCaptureFixture) -> None:
    decode.warn.cache_clear()
    weight, x = packed(GgmlType.Q5_K, 6, 512), draw(2, 512)
    assert relative(cuda.matmul(x, weight), product(x, weight)) <= 1e-6
    np.testing.assert_array_equal(cuda.embedding(weight, np.array([5])), reference.embedding(weight, np.array([5])))
    assert [record.getMessage() for record in caplog.records] == [
        "Q5_K has no kernel; its weights are decoded to float32 on the device at every use"
    ]
    assert cuda.slow_types(frozenset({GgmlType.Q5_K, GgmlType.Q4_K})) == (GgmlType.Q5_K,)


@pytest.mark.parametrize("kind", [*QUANTISED, *FLOATS], ids=name)
def test_device_weights_are_as_large_as_the_file(kind: GgmlType) -> None:
    weight = packed(kind, 7, 512)
    assert weights.upload(weight).size_bytes == weight.data.nbytes


@pytest.mark.parametrize("kind", [*QUANTISED, *FLOATS], ids=name)
def test_embedding_is_decoded_bit_for_bit(kind: GgmlType) -> None:
    """The interpreter rounds each product and difference, as numpy does."""
    weight, ids = packed(kind, 11, 1280), np.array([10, 0, 10, 3])
    np.testing.assert_array_equal(cuda.embedding(weight, ids), reference.embedding(weight, ids))
    assert cuda.embedding(weight, ids[:0]).shape == (0, 1280)
    with pytest.raises(ShapeError, match=r"token id 11 is outside 0\.\.10"):
        cuda.embedding(weight, np.array([11]))


@pytest.mark.parametrize("kind", [GgmlType.Q6_K, GgmlType.Q4_K, GgmlType.F16, GgmlType.Q5_K], ids=name)
@pytest.mark.parametrize("output_rows", [1, 32768], ids=["fused", "separate"])
@pytest.mark.parametrize(("tokens", "rows"), [(1, 1), (2, 300), (1, 4500)])
def test_greedy_names_the_row_of_the_largest_product(
    kind: GgmlType, tokens: int, rows: int, output_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "OUTPUT_ROWS", output_rows)
    monkeypatch.setattr(configs, "splits", lambda *_: 1)
    weight, x = packed(kind, rows, 256), draw(tokens, 256)
    # 300 rows are several tiles as they are, 4500 with larger ones
    with cuda_support.few_programs() if rows == 4500 else nullcontext():
        found = resident.greedy(target.put(x), weight).numpy()
        logits = resident.matmul(target.put(x), weight).numpy()
    np.testing.assert_array_equal(found, logits.argmax(axis=1))


def test_the_first_of_equal_values_wins() -> None:
    values = np.zeros((2, 9000), np.float32)
    values[0, [4095, 4096, 8999]] = 3
    values[1, :] = -np.inf
    values[1, 8997] = -5
    np.testing.assert_array_equal(products.largest(target.put(values)).numpy(), [4095, 8997])


@pytest.mark.parametrize("bad", [np.nan, np.inf], ids=["nan", "infinity"])
@pytest.mark.parametrize("size", [3, 9000], ids=["one tile", "three tiles"])
def test_a_largest_value_that_is_not_finite_has_no_index(bad: float, size: int) -> None:
    """As `sampling.sample` refuses it: one NaN anywhere is enough, and a row of minus infinity has no largest."""
    values = np.full((3, size), -np.inf, np.float32)
    values[:2] = 1
    values[0, size - 1] = bad
    np.testing.assert_array_equal(products.largest(target.put(values)).numpy(), [-1, 0, -1])


@pytest.mark.parametrize("output_rows", [1, 32768], ids=["fused", "separate"])
@pytest.mark.parametrize("broken", [[299], [0, 1, 299], list(range(300))], ids=["last", "some", "all"])
def test_a_broken_row_of_the_output_is_seen(
    broken: list[int], output_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scale that is NaN makes that row's product NaN; the fused half of the argmax may not lose it."""
    monkeypatch.setattr(products, "OUTPUT_ROWS", output_rows)
    monkeypatch.setattr(configs, "splits", lambda *_: 1)
    sound = packed(GgmlType.Q6_K, 300, 256)
    data = sound.data.copy()
    data[broken, 208:210] = np.array([np.nan], "<f2").view(np.uint8)
    weight = Weight(sound.name, sound.type, sound.shape, data)
    assert resident.greedy(target.put(draw(1, 256)), weight).tolist() == [-1]


def test_quantised_integers_and_scales_are_those_of_numpy() -> None:
    """Bit for bit, with halves that round to even, a block of zeros and one of the smallest numbers."""
    from engine.ops.cuda import activations

    x = draw(3, 128)
    x[0, :32] = 0
    x[1, :32] = np.float32(2.0**-149) * np.arange(32)
    x[2, :32] = np.concatenate([[127.0], np.arange(31) / 2.0])
    q = activations.quantised(target.put(x))
    blocks = x.reshape(3, 4, 32)
    d = np.abs(blocks).max(axis=2) / np.float32(127)
    expected = np.rint(np.divide(blocks, d[..., None], out=np.zeros_like(blocks), where=d[..., None] > 0))
    np.testing.assert_array_equal(q.xd.numpy(), d)
    np.testing.assert_array_equal(q.xq.numpy().reshape(3, 4, 32), expected)
    np.testing.assert_array_equal(q.x16.numpy(), expected.reshape(3, 8, 16).sum(axis=2))
    np.testing.assert_array_equal(q.xs.numpy(), d * expected.sum(axis=2).astype(np.float32))


def test_launches_are_counted() -> None:
    before = launch.counts()
    cuda.matmul(draw(1, 256), packed(GgmlType.Q4_K, 5, 256))
    assert launch.since(before) == {"q4_k_matvec": 1, "quantise": 1}
    launch.add_counts({"q4_k_matvec": 2}, times=3)
    assert launch.since(before) == {"q4_k_matvec": 7, "quantise": 1}


def test_the_interpreter_is_not_called_cuda() -> None:
    assert target.name() == "cuda-interpreted"
    assert target.facts()["target"] == "cuda-interpreted"
    assert "device" not in target.facts()


def test_a_launch_can_be_looked_at() -> None:
    seen: list[Launch] = []
    with launch.intercepted(seen.append):
        cuda.add(draw(1, 4), draw(1, 4))
    assert [(one.name, one.grid) for one in seen] == [("add", (1, 1, 1))]
