"""The compiled matmul against float64 on weights decoded by the `gguf` package; odd shapes on purpose.

Tolerance: an element is a sum of K products with fused multiply-add over 16 lanes, so a product takes part in at
most K/16 + 6 roundings (its lane, the tail, 4 levels of pairs); |error| <= (K/16 + 6) * 2^-24 * sum |x * w|.
"""

from __future__ import annotations

import threading
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine import quant
from engine.errors import ShapeError
from engine.gguf.types import GgmlType, layout
from engine.ops import cpu
from engine.ops.cpu import floats
from engine.ops.cpu.kernels import decode
from engine.ops.cpu.pool import shared
from engine.ops.protocol import Weight
from support.packed_weights import random_packed

SEED = 20250905
TYPES = sorted(cpu.KERNEL_TYPES)


def random_weight(type_: GgmlType, rows: int, columns: int, seed: int = SEED) -> Weight:
    """Encoded Gaussian weights, or random blocks of a type that is only read; read-only as those of a mapped file."""
    if type_ not in quant.ENCODABLE:
        return random_packed(type_, rows, columns, np.random.default_rng(seed))
    weights = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    data = quant.encode(type_, weights).reshape(rows, -1)
    data.flags.writeable = False
    return Weight("w", type_, (rows, columns), data)


def random_input(tokens: int, columns: int) -> np.ndarray:
    return np.random.default_rng([SEED, tokens, columns]).standard_normal((tokens, columns)).astype(np.float32)


def check_product(x: np.ndarray, weight: Weight, found: np.ndarray) -> None:
    """Compare with float64; on failure name the worst element."""
    decoded = gguf.dequantize(weight.data, gguf.GGMLQuantizationType(int(weight.type))).astype(np.float64)
    expected = x.astype(np.float64) @ decoded.T
    limit = (weight.shape[1] / 16 + 6) * 2.0**-24 * (np.abs(x).astype(np.float64) @ np.abs(decoded).T)
    excess = np.abs(found - expected) / limit
    worst = np.unravel_index(excess.argmax(), excess.shape)
    assert excess.max() <= 1, (
        f"worst at {worst}: {found[worst]!r}, expected {expected[worst]!r}, {excess.max():.2f} limits"
    )


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name.lower())
@pytest.mark.parametrize("columns", [256, 512])
@pytest.mark.parametrize("rows", [1, 3, 255])
@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_product_equals_float64_within_rounding(type_: GgmlType, columns: int, rows: int, tokens: int) -> None:
    weight, x = random_weight(type_, rows, columns), random_input(tokens, columns)
    found = cpu.matmul(x, weight)
    assert (found.dtype, found.shape) == (np.float32, (tokens, rows))
    check_product(x, weight, found)


@pytest.mark.parametrize("columns", [1, 15, 17, 100])
@pytest.mark.parametrize("type_", [GgmlType.F32, GgmlType.F16, GgmlType.BF16], ids=lambda t: t.name.lower())
def test_rows_need_not_be_whole_vectors(type_: GgmlType, columns: int) -> None:
    weight, x = random_weight(type_, 7, columns), random_input(3, columns)
    check_product(x, weight, cpu.matmul(x, weight))


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name.lower())
def test_kernel_decodes_bit_for_bit_like_quant(type_: GgmlType) -> None:
    """All byte patterns with finite scales: random bytes, bit 6 of every odd byte cleared."""
    rows, columns = 33, 512
    block_size, type_size = layout(type_)
    raw = np.random.default_rng(SEED).integers(0, 256, (rows, columns // block_size * type_size), dtype=np.uint8)
    raw[:, 1::2] &= 0xBF
    flat = raw.reshape(-1)
    flat.flags.writeable = False
    found = np.empty(rows * columns, np.float32)
    for row in range(rows):
        decode.decode_row(int(type_), flat, row * raw.shape[1], columns, found, row * columns)
    np.testing.assert_array_equal(found.view(np.uint32), quant.decode(type_, raw).reshape(-1).view(np.uint32))


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name.lower())
def test_tokens_together_equal_tokens_one_by_one_bitwise(type_: GgmlType) -> None:
    weight, x = random_weight(type_, 70, 768), random_input(7, 768)
    together = cpu.matmul(x, weight)
    np.testing.assert_array_equal(together, np.concatenate([cpu.matmul(x[t : t + 1], weight) for t in range(7)]))


@pytest.mark.parametrize("parts", [1, 2, 3, 16])
def test_result_does_not_depend_on_the_number_of_threads(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 parts of 255 rows, and of 3 rows, which leaves most parts empty."""
    monkeypatch.setattr(cpu, "_pool", shared(1))
    cases = [
        (random_weight(GgmlType.Q4_K, rows, 512), random_input(tokens, 512)) for rows in (3, 255) for tokens in (1, 5)
    ]
    alone = [cpu.matmul(x, weight) for weight, x in cases]
    monkeypatch.setattr(cpu, "_pool", shared(parts))
    monkeypatch.setattr(floats, "_PART_NS", 1)
    for (weight, x), expected in zip(cases, alone, strict=True):
        np.testing.assert_array_equal(cpu.matmul(x, weight), expected)


def test_parallel_products_from_several_threads_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool has room for one job: without the lock one would take the parts of another."""
    monkeypatch.setattr(cpu, "_pool", shared(2))
    monkeypatch.setattr(floats, "_PART_NS", 1)
    weight, x = random_weight(GgmlType.Q6_K, 255, 256), random_input(2, 256)
    expected = cpu.matmul(x, weight)
    wrong: list[int] = []

    def run() -> None:
        wrong.extend(i for i in range(50) if not np.array_equal(cpu.matmul(x, weight), expected))

    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_input_may_be_strided_or_read_only_and_is_not_changed() -> None:
    weight = random_weight(GgmlType.Q8_0, 9, 256)
    wide = random_input(6, 512)
    strided = wide[::2, :256]
    before = wide.copy()
    expected = cpu.matmul(np.ascontiguousarray(strided), weight)
    np.testing.assert_array_equal(cpu.matmul(strided, weight), expected)
    frozen = np.ascontiguousarray(strided)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(cpu.matmul(frozen, weight), expected)
    np.testing.assert_array_equal(wide, before)


def test_no_tokens_and_no_rows() -> None:
    assert cpu.matmul(random_input(0, 256), random_weight(GgmlType.Q4_K, 5, 256)).shape == (0, 5)
    empty = Weight("w", GgmlType.Q4_K, (0, 256), np.zeros((0, 144), np.uint8))
    assert cpu.matmul(random_input(2, 256), empty).shape == (2, 0)


@pytest.mark.parametrize("type_", [GgmlType.Q4_0, GgmlType.Q3_K], ids=lambda t: t.name.lower())
def test_types_without_a_kernel_start_no_threads_of_blas(type_: GgmlType, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy's product has threads of its own; a row decoded by the `gguf` package, in float64, says what is right."""
    monkeypatch.setattr(np, "matmul", None)
    monkeypatch.setattr(floats, "_DECODED_AT_ONCE", 1024)
    weight = random_packed(type_, 7, 256, np.random.default_rng(SEED))
    x = random_input(3, 256)
    decoded = gguf.dequantize(weight.data, gguf.GGMLQuantizationType(int(type_))).astype(np.float64)
    found = cpu.matmul(x, weight)
    limit = (256 / 16 + 6) * 2.0**-24 * (np.abs(x).astype(np.float64) @ np.abs(decoded).T)
    assert (np.abs(found - x.astype(np.float64) @ decoded.T) <= limit).all()
    np.testing.assert_array_equal(found, np.concatenate([cpu.matmul(x[t : t + 1], weight) for t in range(3)]))


def test_wrong_width_names_the_weight() -> None:
    with pytest.raises(ShapeError, match=r"^w: rows have 256 weights, the activation has 255 values$"):
        cpu.matmul(random_input(1, 255), random_weight(GgmlType.Q4_K, 2, 256))


def test_other_types_of_the_engine_are_named_as_slow() -> None:
    names = ["Q4_0", "Q4_1", "Q5_1", "Q2_K", "Q3_K"]
    assert [type_.name for type_ in cpu.slow_types(frozenset(quant.SUPPORTED))] == names


def test_no_float32_copy_of_a_weight_is_made() -> None:
    """18 MiB of Q4_K would be 128 MiB as float32; the highest resident size may grow by the output and the buffers."""
    rows, columns = 8192, 4096
    raw = np.zeros((rows, columns // 256 * 144), np.uint8)
    raw += 1  # touched, so that it is resident before
    weight, x = Weight("w", GgmlType.Q4_K, (rows, columns), raw), random_input(1, columns)
    cpu.matmul(x, weight)
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = status_bytes("VmRSS")
    cpu.matmul(x, weight)
    assert status_bytes("VmHWM") - before < 8 * 1024 * 1024


def status_bytes(field: str) -> int:
    """A size from /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
