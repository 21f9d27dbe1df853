"""Decoding is bit-exact; the judge is the `gguf` package, an independent numpy implementation."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from engine import quant
from engine.errors import QuantError
from engine.gguf.types import RUNNABLE_TYPES, GgmlType, layout

SEED = 20250901
TYPES = sorted(RUNNABLE_TYPES)
HALVES = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF], np.uint16)
"""Zeros, subnormals, the least normal, one, and the largest float16, with both signs."""

FLOAT16_FIELDS = {
    GgmlType.Q4_0: (0,),
    GgmlType.Q4_1: (0, 2),
    GgmlType.Q5_0: (0,),
    GgmlType.Q5_1: (0, 2),
    GgmlType.Q8_0: (0,),
    GgmlType.Q2_K: (80, 82),
    GgmlType.Q3_K: (108,),
    GgmlType.Q4_K: (0, 2),
    GgmlType.Q5_K: (0, 2),
    GgmlType.Q6_K: (208,),
}
"""Where ggml-common.h puts the float16 scales and minimums of a block."""


def random_rows(type_: GgmlType, rows: int, blocks: int, seed: int = SEED) -> np.ndarray:
    """Random bytes with finite float16 fields, one in eight of them from `HALVES`."""
    rng = np.random.default_rng(seed)
    _, type_size = layout(type_)
    raw = rng.integers(0, 256, (rows * blocks, type_size), dtype=np.uint8)
    for start in FLOAT16_FIELDS.get(type_, ()):
        halves = rng.integers(0, 1 << 16, len(raw), dtype=np.uint16)
        halves[(halves & 0x7C00) == 0x7C00] &= 0xBFFF  # infinite and NaN become finite
        extreme = rng.random(len(raw)) < 0.125
        halves[extreme] = rng.choice(HALVES, int(extreme.sum()))
        raw[:, start : start + 2] = halves.view(np.uint8).reshape(-1, 2)
    return raw.reshape(rows, blocks * type_size)


def bits(weights: np.ndarray) -> np.ndarray:
    """Weights as integers, every NaN as one value: its payload is not part of a codec."""
    return np.where(np.isnan(weights), np.uint32(0x7FC00000), np.ascontiguousarray(weights).view(np.uint32))


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name.lower())
@pytest.mark.parametrize(("rows", "blocks"), [(1, 1), (3, 2), (127, 5)], ids=["one block", "odd rows", "many"])
def test_decode_equals_the_gguf_package_bit_for_bit(type_: GgmlType, rows: int, blocks: int) -> None:
    raw = random_rows(type_, rows, blocks)
    ours = quant.decode(type_, raw)
    theirs = gguf.dequantize(raw, gguf.GGMLQuantizationType(int(type_)))
    assert ours.dtype == np.float32
    assert ours.shape == (rows, blocks * layout(type_)[0])
    np.testing.assert_array_equal(bits(ours), bits(theirs))


def test_every_6_bit_scale_and_minimum_of_q4_k_is_read() -> None:
    """Scales 4-7 keep their top two bits in bytes 0-3; packed here as the layout is drawn."""
    rng = np.random.default_rng(SEED)
    scales = rng.permuted(np.tile(np.arange(64, dtype=np.uint8), (8, 1)), axis=1).T
    minimums = rng.permuted(np.tile(np.arange(64, dtype=np.uint8), (8, 1)), axis=1).T
    raw = np.zeros((64, 144), np.uint8)
    raw[:, 0:4] = np.array([1.0, 1.0], "<f2").view(np.uint8)
    for j in range(4):
        raw[:, 4 + j] = scales[:, j] + (scales[:, j + 4] // 16) * 64
        raw[:, 8 + j] = minimums[:, j] + (minimums[:, j + 4] // 16) * 64
        raw[:, 12 + j] = scales[:, j + 4] % 16 + (minimums[:, j + 4] % 16) * 16
    raw[:, 16:] = 0x11  # every quant is 1, so w = scale - minimum
    expected = np.repeat(scales.astype(np.float32) - minimums.astype(np.float32), 32, axis=1)
    np.testing.assert_array_equal(quant.decode(GgmlType.Q4_K, raw), expected)


@pytest.mark.parametrize("index", [0, 31, 32, 63, 64, 95, 96, 127, 128, 200, 255])
def test_each_q6_k_weight_has_its_own_place(index: int) -> None:
    """One weight is set to 31, the others to 0, by the index formula of dequantize_row_q6_K."""
    raw = np.zeros(210, np.uint8)
    raw[128:192] = 0b10101010  # every q = 32, so every weight is 0
    raw[192:208] = np.int8(-3).view(np.uint8)
    raw[208:210] = np.array([0.5], "<f2").view(np.uint8)
    half, inside = divmod(index, 128)
    quarter, lane = divmod(inside, 32)
    raw[64 * half + 32 * (quarter % 2) + lane] |= 0x0F << (4 * (quarter // 2))
    raw[128 + 32 * half + lane] |= 0b11 << (2 * quarter)
    expected = np.zeros(256, np.float32)
    expected[index] = 0.5 * -3 * 31
    np.testing.assert_array_equal(quant.decode(GgmlType.Q6_K, raw), expected)


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name.lower())
def test_decode_accepts_no_rows_and_strided_rows(type_: GgmlType) -> None:
    raw = random_rows(type_, 6, 2)
    assert quant.decode(type_, raw[:0]).shape == (0, 2 * layout(type_)[0])
    with np.errstate(all="ignore"):
        whole = quant.decode(type_, raw)
        np.testing.assert_array_equal(bits(quant.decode(type_, raw[::2])), bits(whole[::2]))
        np.testing.assert_array_equal(bits(quant.decode(type_, raw[[5, 0]])), bits(whole[[5, 0]]))


@pytest.mark.parametrize("type_", [t for t in TYPES if layout(t)[1] > 1], ids=lambda t: t.name.lower())
def test_short_block_is_refused(type_: GgmlType) -> None:
    size = layout(type_)[1]
    with pytest.raises(QuantError, match=rf"row is {size - 1} bytes, expected a multiple of {size}$"):
        quant.decode(type_, np.zeros((2, size - 1), np.uint8))


def test_data_that_is_not_bytes_is_refused() -> None:
    with pytest.raises(QuantError, match=r"q4_k data is float32 of shape \(144,\), expected rows of uint8"):
        quant.decode(GgmlType.Q4_K, np.zeros(144, np.float32))


def test_type_without_codec_names_what_is_supported() -> None:
    with pytest.raises(QuantError, match=r"^type IQ2_XXS has no codec in this engine; supported are F32, .*Q6_K$"):
        quant.decode(GgmlType.IQ2_XXS, np.zeros(66, np.uint8))


def test_codecs_are_the_runnable_types_with_the_layouts_of_the_container() -> None:
    assert set(quant.CODECS) == RUNNABLE_TYPES
    for type_, codec in quant.CODECS.items():
        assert layout(type_) == (codec.BLOCK_SIZE, codec.TYPE_SIZE)
        assert FLOAT16_FIELDS.get(type_, ()) == codec.SCALES


def extreme_rows(type_: GgmlType) -> np.ndarray:
    """Blocks whose bytes are all zero, all one, or one bit apart from it, under scales of 1 and -65504."""
    _, type_size = layout(type_)
    fills = [0x00, 0xFF, 0x0F, 0xF0, 0x55, 0xAA, 0x80, 0x7F, 0x01]
    raw = np.repeat(np.array(fills, np.uint8)[:, None], type_size, axis=1)
    raw = np.concatenate([raw, raw])
    for start in FLOAT16_FIELDS.get(type_, ()):
        raw[: len(fills), start : start + 2] = np.array([1.0], "<f2").view(np.uint8)
        raw[len(fills) :, start : start + 2] = np.array([-65504.0], "<f2").view(np.uint8)
    return raw


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name.lower())
def test_extreme_blocks_decode_as_by_the_gguf_package(type_: GgmlType) -> None:
    raw = extreme_rows(type_)
    theirs = gguf.dequantize(raw, gguf.GGMLQuantizationType(int(type_)))
    np.testing.assert_array_equal(bits(quant.decode(type_, raw)), bits(theirs))


@pytest.mark.parametrize(
    ("type_", "byte", "bit", "index", "value"),
    [
        (GgmlType.Q5_0, 2, 0, 0, 16),
        (GgmlType.Q5_0, 5, 7, 31, 16),
        (GgmlType.Q5_1, 6, 3, 19, 16),
        (GgmlType.Q5_K, 16 + 5, 7, 7 * 32 + 5, 16),
        (GgmlType.Q3_K, 9, 6, 128 + 2 * 32 + 9, 4),
        (GgmlType.Q2_K, 16 + 32 + 3, 5, 128 + 2 * 32 + 3, 2),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, GgmlType) else str(value),
)
def test_one_high_bit_moves_one_weight(type_: GgmlType, byte: int, bit: int, index: int, value: int) -> None:
    """The bit's byte, weight and value are read off the layouts of ggml-common.h by hand."""
    raw = np.zeros(layout(type_)[1], np.uint8)
    raw[FLOAT16_FIELDS[type_][0] :][:2] = np.array([1.0], "<f2").view(np.uint8)
    if type_ is GgmlType.Q2_K:
        raw[:16] = 1  # scale 1, minimum 0
    elif type_ is GgmlType.Q3_K:
        raw[96:108] = [0x11] * 8 + [0xAA] * 4  # scale 33, less 32
    elif type_ is GgmlType.Q5_K:
        raw[4:16] = [1] * 4 + [0] * 4 + [1] * 4  # scale 1, minimum 0
    before = quant.decode(type_, raw)
    raw[byte] ^= 1 << bit
    moved = quant.decode(type_, raw) - before
    assert np.flatnonzero(moved).tolist() == [index]
    assert moved[index] == value


@pytest.mark.parametrize("type_", sorted(set(TYPES) - set(quant.ENCODABLE)), ids=lambda t: t.name.lower())
def test_types_that_are_only_read_say_so(type_: GgmlType) -> None:
    says = f"^type {type_.name} is read but not written by this engine; written are F32, .*Q6_K$"
    with pytest.raises(QuantError, match=says):
        quant.encode(type_, np.zeros(256, np.float32))


def test_layouts_equal_those_of_the_gguf_package() -> None:
    theirs = {int(t): sizes for t, sizes in gguf.constants.GGML_QUANT_SIZES.items()}
    assert {int(t): layout(t) for t in GgmlType} == {t: theirs[t] for t in map(int, GgmlType)}
    assert {t.value: t.name for t in gguf.GGMLQuantizationType if t.value in set(GgmlType)} == {
        t.value: t.name for t in GgmlType
    }
