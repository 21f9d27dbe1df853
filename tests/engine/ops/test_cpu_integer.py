"""The integer precisions, against float64 on weights decoded by the `gguf` package.

*Exactly*: activations quantised here, in numpy, times the decoded weights in float64; what remains is float32 rounding.
A row of K weights takes K / 32 blocks at most, each with a conversion, two products and a sum, twice with minimums:
|error| <= (K / 32 + 8) * 2^-22 * sum |w * a|.

*By contract*: an activation is wrong by half a step of its block at most, so an element by sum |w| * step / 2. That
holds for every input, outliers included; a step is max |x| / 127 (q8) or / 32384 (q16) over 256 columns of a K type
and 32 of Q8_0 and Q5_0.
"""

from __future__ import annotations

import mmap
import threading
import time
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.errors import BackendError, ShapeError
from engine.gguf.types import GgmlType
from engine.ops import cpu
from engine.ops.cpu.integer import IntegerOps
from engine.ops.cpu.isa import Isa, available
from engine.ops.cpu.precisions import ops_for
from engine.ops.protocol import Weight
from support.packed_weights import random_packed

SEED = 20250911
TYPES = [GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K, GgmlType.Q8_0, GgmlType.Q5_0]
REACH = {"q8": 127.0, "q16": 127.0 * 254 + 126}


def type_name(type_: GgmlType) -> str:
    return type_.name.lower()


def packed(type_: GgmlType, rows: int, columns: int) -> Weight:
    return random_packed(type_, rows, columns, np.random.default_rng([SEED, rows, columns]))


def activations(tokens: int, columns: int, *, outliers: bool = False) -> np.ndarray:
    """Gaussian; with outliers, every 100th channel is 50 times as large."""
    x = np.random.default_rng([SEED, tokens]).standard_normal((tokens, columns)).astype(np.float32)
    if outliers:
        x[:, ::100] *= 50
    return x


def decoded(weight: Weight) -> np.ndarray:
    return gguf.dequantize(weight.data, gguf.GGMLQuantizationType(int(weight.type))).astype(np.float64)


def steps(x: np.ndarray, type_: GgmlType, precision: str) -> np.ndarray:
    """The step of every activation: (T, K) float32."""
    block = 32 if type_ in (GgmlType.Q8_0, GgmlType.Q5_0) else 256
    largest = np.abs(x.reshape(len(x), -1, block)).max(axis=2)
    return np.repeat(largest / np.float32(REACH[precision]), block, axis=1)


def excess(found: np.ndarray, expected: np.ndarray, limit: np.ndarray) -> float:
    """The largest error in limits."""
    return float((np.abs(found - expected) / limit).max())


@pytest.mark.parametrize("precision", ["q8", "q16"])
@pytest.mark.parametrize("type_", TYPES, ids=type_name)
@pytest.mark.parametrize(
    ("rows", "columns", "tokens"), [(1, 256, 1), (29, 512, 1), (16, 768, 2), (45, 512, 11)], ids=str
)
def test_products_of_quantised_activations_are_exact(
    precision: str, type_: GgmlType, rows: int, columns: int, tokens: int
) -> None:
    weight, x = packed(type_, rows, columns), activations(tokens, columns)
    step = steps(x, type_, precision)
    rounded = np.rint(x.astype(np.float64) / step) * step
    weights = decoded(weight)
    found = IntegerOps(precision, 1).matmul(x, weight)
    assert (found.dtype, found.shape) == (np.float32, (tokens, rows))
    # a quotient that lies on a half within float32 rounding may go to either side: one step of one activation
    slack = np.abs(weights).max() * step.max()
    limit = (columns / 32 + 8) * 2.0**-22 * (np.abs(rounded) @ np.abs(weights).T) + 1e-4 * slack
    assert excess(found, rounded @ weights.T, limit) <= 1


@pytest.mark.parametrize("outliers", [False, True], ids=["gaussian", "outliers 50x"])
@pytest.mark.parametrize("precision", ["q8", "q16"])
@pytest.mark.parametrize("type_", TYPES, ids=type_name)
def test_error_is_within_half_a_step_of_each_activation(precision: str, type_: GgmlType, outliers: bool) -> None:
    weight, x = packed(type_, 64, 1024), activations(5, 1024, outliers=outliers)
    weights = decoded(weight)
    expected = x.astype(np.float64) @ weights.T
    found = IntegerOps(precision, 1).matmul(x, weight)
    rounding = (1024 / 32 + 8) * 2.0**-22 * (np.abs(x).astype(np.float64) @ np.abs(weights).T)
    step = steps(x, type_, precision).astype(np.float64)
    assert excess(found, expected, step / 2 @ np.abs(weights).T + rounding) <= 1
    rms = float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))
    # rounding errors are uniform, step / sqrt(12) each, and meet the same weights as the activations do; a half more
    # for the spread over 64 x 5 elements, and for minimums, whose products with the activations partly cancel
    assert rms <= 1.5 * np.sqrt(np.mean(step**2) / 12 / np.mean(x.astype(np.float64) ** 2))
    if not outliers:
        assert rms <= {"q8": 1.0e-2, "q16": 5.5e-5}[precision]


@pytest.mark.parametrize("isa", [isa for isa in available() if isa is not available()[-1]], ids=lambda isa: isa.label)
@pytest.mark.parametrize("type_", TYPES, ids=type_name)
def test_every_instruction_set_gives_the_same_bits(type_: GgmlType, isa: Isa) -> None:
    """-128 is among the weights of Q8_0, where byte pairs saturate unless handled."""
    weight, x = packed(type_, 21, 512), activations(3, 512)
    expected = IntegerOps("q16", 1).matmul(x, weight)
    np.testing.assert_array_equal(IntegerOps("q16", 1, isa=isa).matmul(x, weight), expected)


@pytest.mark.parametrize("precision", ["q8", "q16"])
@pytest.mark.parametrize("type_", TYPES, ids=type_name)
def test_tokens_together_equal_tokens_one_by_one_bitwise(precision: str, type_: GgmlType) -> None:
    ops = IntegerOps(precision, 1)
    weight, x = packed(type_, 40, 512), activations(11, 512)
    together = ops.matmul(x, weight)
    np.testing.assert_array_equal(together, np.concatenate([ops.matmul(x[t : t + 1], weight) for t in range(11)]))


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_result_does_not_depend_on_the_number_of_threads(threads: int) -> None:
    """2048 x 1024 weights are 9 parts and more."""
    weight = packed(GgmlType.Q4_K, 2048, 1024)
    alone, several = IntegerOps("q8", 1), IntegerOps("q8", threads)
    for tokens in (1, 3):
        x = activations(tokens, 1024)
        np.testing.assert_array_equal(several.matmul(x, weight), alone.matmul(x, weight))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tokens", [0, 1, 5])
@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_products_in_one_go_equal_one_by_one_bitwise(precision: str, tokens: int, threads: int) -> None:
    """Types that share an activation, types that do not, a large weight and one without rows, one in float32."""
    ops, x = IntegerOps(precision, threads), activations(tokens, 512)
    weights = [packed(type_, rows, 512) for type_, rows in zip([*TYPES, *TYPES], [29, 7, 3000, 0, 16] * 2, strict=True)]
    for some in (weights, weights[:2], [*weights, packed(GgmlType.Q5_1, 3, 512)]):
        found = ops.multiply_all(x, some)
        for weight, product in zip(some, found, strict=True):
            np.testing.assert_array_equal(product, IntegerOps(precision, 1).matmul(x, weight))
    gate, up = packed(GgmlType.Q4_K, 100, 512), packed(GgmlType.Q6_K, 100, 512)
    left, right, activated = ops.gated_product(x, gate, up)
    np.testing.assert_array_equal(activated, ops.swiglu(ops.matmul(x, gate), ops.matmul(x, up)))
    np.testing.assert_array_equal(left, ops.matmul(x, gate))
    np.testing.assert_array_equal(right, ops.matmul(x, up))
    with pytest.raises(ShapeError, match="rows have 512 weights, the activation has 256 values"):
        ops.multiply_all(activations(1, 256), weights)


def test_callers_from_several_threads_and_sleeping_workers() -> None:
    """After 50 ms every worker sleeps; the next job must wake or do without it."""
    ops = IntegerOps("q8", 3)
    weight, x = packed(GgmlType.Q6_K, 1024, 1024), activations(2, 1024)
    expected = ops.matmul(x, weight)
    wrong: list[int] = []

    def run() -> None:
        for number in range(30):
            if number % 10 == 9:
                time.sleep(0.05)
            if not np.array_equal(ops.matmul(x, weight), expected):
                wrong.append(number)

    callers = [threading.Thread(target=run) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_zero_tiny_and_non_finite_activations(precision: str) -> None:
    """Zeros and what is below float32's normal numbers give zero; NaN and infinity give NaN in their token alone."""
    x = activations(5, 512)
    x[0] = 0
    x[1] = 1e-40
    x[2, 300] = np.nan
    x[3, 5] = -np.inf
    found = IntegerOps(precision, 1).matmul(x, packed(GgmlType.Q4_K, 20, 512))
    assert np.abs(found[:2]).max() < 1e-30
    assert np.isnan(found[2:4]).all()
    assert np.isfinite(found[4]).all()


def test_types_without_an_integer_kernel_run_in_float32() -> None:
    ops = IntegerOps("q8", 1)
    weight, x = packed(GgmlType.F16, 9, 256), activations(2, 256)
    np.testing.assert_array_equal(ops.matmul(x, weight), cpu.matmul(x, weight))
    assert ops.slow_types(frozenset({GgmlType.F16, GgmlType.Q2_K, GgmlType.Q5_0})) == (GgmlType.Q2_K,)


def test_input_may_be_strided_or_read_only_and_is_not_changed() -> None:
    ops, weight, wide = IntegerOps("q8", 1), packed(GgmlType.Q8_0, 9, 256), activations(6, 512)
    before = wide.copy()
    strided = wide[::2, :256]
    expected = ops.matmul(np.ascontiguousarray(strided), weight)
    frozen = np.ascontiguousarray(strided)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(ops.matmul(strided, weight), expected)
    np.testing.assert_array_equal(ops.matmul(frozen, weight), expected)
    np.testing.assert_array_equal(wide, before)


def test_no_tokens_and_wrong_width() -> None:
    ops, weight = IntegerOps("q8", 1), packed(GgmlType.Q4_K, 5, 256)
    assert ops.matmul(activations(0, 256), weight).shape == (0, 5)
    with pytest.raises(ShapeError, match=r"^w: rows have 256 weights, the activation has 255 values$"):
        ops.matmul(activations(1, 255), weight)


def test_one_copy_of_a_mapped_weight_stays_resident(tmp_path: Path) -> None:
    """36 MB of Q4_K in a file: afterwards the pages of the file are gone, and the rearranged bytes are as many."""
    rows, columns = 16384, 4096
    path = tmp_path / "weights"
    row_bytes = columns // 256 * 144
    path.write_bytes(np.random.default_rng(SEED).integers(0, 64, rows * row_bytes, dtype=np.uint8).tobytes())
    with path.open("rb") as stream:
        whole = np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    assert int(whole[::4096].sum()) > 0  # every page is resident now
    weight = Weight("w", GgmlType.Q4_K, (rows, columns), whole.reshape(rows, row_bytes))
    before = resident_file_bytes()
    ops = IntegerOps("q8", 2)
    ops.load(weight)
    assert ops.resident_bytes == whole.size
    assert before - resident_file_bytes() > 0.95 * whole.size


def resident_file_bytes() -> int:
    """RssFile of this process: mapped files and shared libraries."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) * 1024


def test_precisions_by_name() -> None:
    assert ops_for() is cpu
    assert (ops_for("q16", 1).precision, ops_for("q16", 1).threads()) == ("q16", 1)
    with pytest.raises(BackendError, match=r"^precision 'q4' is not in this version; available: f32, q16, q8$"):
        ops_for("q4")
    with pytest.raises(BackendError, match=r"^threads is 0, must be in 1\.\.\d+, the cores"):
        ops_for("q8", 0)


def test_instruction_set_asked_for_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Q4K_ISA", "plain")
    assert IntegerOps("q8", 1).isa is Isa.PLAIN
    monkeypatch.setenv("Q4K_ISA", "avx1024")
    with pytest.raises(BackendError, match=r"^Q4K_ISA is 'avx1024'; this processor has plain"):
        IntegerOps("q8", 1)


def test_attention_has_the_bits_of_the_float32_path() -> None:
    rng = np.random.default_rng(SEED)
    ops = IntegerOps("q8", 2)
    for tokens, slots, heads, kv_heads, size in ((1, 700, 12, 2, 64), (40, 90, 3, 3, 40), (2, 2, 1, 1, 2)):
        q = rng.standard_normal((tokens, heads, size)).astype(np.float32)
        k, v = rng.standard_normal((2, slots, kv_heads, size)).astype(np.float32)
        positions = np.arange(slots - tokens, slots, dtype=np.int64)
        np.testing.assert_array_equal(ops.attention(q, k, v, positions), cpu.attention(q, k, v, positions))
    with pytest.raises(ShapeError, match="1 heads over 1 kv heads, 2 cached slots"):
        ops.attention(q, k, v, np.array([1, 2]))


@pytest.mark.parametrize("size", [1, 15, 16, 1000, 40_001])
def test_swiglu_equals_float64_within_a_few_roundings(size: int) -> None:
    """exp within 2 units, a sum, a quotient and a product: 6 units of 2^-24, where the result is a normal number."""
    rng = np.random.default_rng([SEED, size])
    gate, up = (rng.standard_normal((2, 1, size)) * [[[8]], [[1]]]).astype(np.float32)
    found = IntegerOps("q8", 2).swiglu(gate, up)
    wide = gate.astype(np.float64)
    expected = wide / (1 + np.exp(-wide)) * up
    assert excess(found, expected, 6 * 2.0**-24 * np.abs(expected) + 1e-37) <= 1


def test_swiglu_at_the_ends_of_float32() -> None:
    gate = np.array([[-3e38, -200.0, -88.0, -0.0, 0.0, 88.0, 3e38, np.nan]], np.float32)
    found = IntegerOps("q8", 1).swiglu(gate, np.ones_like(gate))[0]
    np.testing.assert_allclose(found[:7], [0, 0, 0, 0, 0, 88, 3e38], atol=2.0)
    assert np.isnan(found[7])


@pytest.mark.parametrize("tokens", [0, 1, 8, 19])
def test_rows_of_the_embedding_are_those_of_the_mapped_file(tmp_path: Path, tokens: int) -> None:
    """Some at a time, and their pages are given back between; out of order, one twice."""
    weight = packed(GgmlType.Q8_0, 300, 64)
    path = tmp_path / "rows"
    path.write_bytes(weight.data.tobytes())
    with path.open("rb") as stream:
        whole = np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    ids = np.random.default_rng(SEED).permutation(300)[:tokens].astype(np.int64)
    ids[-1:] = ids[:1]
    found = IntegerOps("q8").embedding(Weight("rows", weight.type, weight.shape, whole.reshape(300, -1)), ids)
    np.testing.assert_array_equal(found, decoded(weight)[ids].astype(np.float32))
