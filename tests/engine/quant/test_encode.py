"""Encoding: its error beside llama.cpp's, and input that is awkward, extreme or refused."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from engine import quant
from engine.errors import QuantError
from engine.gguf.types import GgmlType
from engine.quant import rmse

SEED = 20250904
K_TYPES = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0)
ROWS = list(rmse.table())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.type.name}, {row.data}")
def test_error_is_at_most_5_percent_above_llama_cpp(row: rmse.Row) -> None:
    """The figures of llama.cpp were recorded by `python -m engine.quant.rmse --ggml`."""
    assert row.ratio <= 1.05, f"{row.ours:.6e} / {row.llama_cpp:.6e} = {row.ratio:.4f}"


def test_recorded_figures_are_of_the_same_data() -> None:
    """Q8_0 leaves no choice: if this numpy drew other data than the recording, the ratio would not be 1."""
    ratios = [row.ratio for row in ROWS if row.type is GgmlType.Q8_0]
    np.testing.assert_allclose(ratios, 1.0, rtol=1e-6)


@pytest.mark.parametrize("type_", [GgmlType.Q8_0, GgmlType.F16, GgmlType.BF16], ids=lambda t: t.name.lower())
def test_encode_equals_the_gguf_package_byte_for_byte(type_: GgmlType) -> None:
    rng = np.random.default_rng(SEED)
    weights = (rng.standard_normal((33, 96)) * 10.0 ** rng.integers(-6, 4, (33, 96))).astype(np.float32)
    theirs = gguf.quantize(weights, gguf.GGMLQuantizationType(int(type_))).view(np.uint8)
    np.testing.assert_array_equal(quant.encode(type_, weights), theirs)


@pytest.mark.parametrize("type_", K_TYPES, ids=lambda t: t.name.lower())
@pytest.mark.parametrize(
    "weights",
    [
        np.zeros((1, 256)),
        np.full((1, 256), -0.75),
        np.full((1, 256), 0.75),
        np.tile([1.0, -1.0], (1, 128)),
        np.eye(1, 256, 200) * -3.0,
        np.where(np.arange(256) < 32, 100.0, 1e-3)[np.newaxis],
        np.linspace(-1, 1, 256)[np.newaxis],
        np.full((1, 256), 1e-30),
        np.full((1, 256), 1e-45),
    ],
    ids=["zero", "negative", "positive", "two", "one", "uneven", "ramp", "tiny", "subnormal"],
)
def test_awkward_blocks_decode_within_one_step(type_: GgmlType, weights: np.ndarray) -> None:
    """No weight is farther off than a quant of the widest sub-block, and none is NaN.

    A quant is range / 15 for Q4_K, of which the 6-bit scale may take 1/63 and clipping another half; the range
    includes 0. Q6_K: extreme / 32 and 1/128. Q8_0: extreme / 127.
    """
    weights = weights.astype(np.float32)
    decoded = quant.decode(type_, quant.encode(type_, weights))
    span = float(np.maximum(weights.max(), 0) - np.minimum(weights.min(), 0))
    extreme = float(np.abs(weights).max())
    step = {GgmlType.Q4_K: span / 15, GgmlType.Q6_K: extreme / 32, GgmlType.Q8_0: extreme / 127}[type_]
    error = np.abs(decoded - weights)
    # below 2^-24 x 63 a float16 scale is rounded to 0 and the block is lost: the error is the weight itself
    limit = max(1.1 * step, min(extreme, 63 * 2.0**-24))
    assert error.max() <= limit, f"worst {error.max():.3e} at {int(error.argmax())}, limit {limit:.3e}"


@pytest.mark.parametrize("type_", K_TYPES, ids=lambda t: t.name.lower())
def test_each_row_is_encoded_by_itself(type_: GgmlType) -> None:
    """Chunks of 512 blocks are an implementation detail: 600 rows give the bytes that their halves give."""
    weights = np.random.default_rng(SEED).standard_normal((600, 256)).astype(np.float32)
    together = quant.encode(type_, weights)
    assert together.shape == (600, 256 // quant.codec(type_).BLOCK_SIZE * quant.codec(type_).TYPE_SIZE)
    np.testing.assert_array_equal(
        together, np.concatenate([quant.encode(type_, part) for part in (weights[:299], weights[299:])])
    )
    np.testing.assert_array_equal(together.reshape(2, 3, 100, -1), quant.encode(type_, weights.reshape(2, 3, 100, 256)))


@pytest.mark.parametrize("type_", K_TYPES, ids=lambda t: t.name.lower())
def test_decoded_weights_encode_with_less_error_than_a_quarter_step(type_: GgmlType) -> None:
    """Weights that the format can say exactly come back nearly exactly; the search must not lose them."""
    weights = np.random.default_rng(SEED).standard_normal((16, 512)).astype(np.float32)
    once = quant.decode(type_, quant.encode(type_, weights))
    twice = quant.decode(type_, quant.encode(type_, once))
    first = np.sqrt(np.mean((once - weights) ** 2))
    second = np.sqrt(np.mean((twice - once) ** 2))
    assert second < 0.25 * first, f"first {first:.3e}, second {second:.3e}"


@pytest.mark.parametrize("type_", K_TYPES, ids=lambda t: t.name.lower())
def test_no_rows(type_: GgmlType) -> None:
    assert quant.encode(type_, np.zeros((0, 256), np.float32)).shape[0] == 0


@pytest.mark.parametrize("type_", K_TYPES, ids=lambda t: t.name.lower())
@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (np.zeros((2, 100), np.float32), "row is 100 weights, expected a multiple of"),
        (np.zeros((2, 256)), r"weights are float64 of shape \(2, 256\), expected rows of float32"),
        (np.where(np.arange(512).reshape(2, 256) == 300, np.nan, 1).astype(np.float32), r"weight at \(1, 44\) is nan"),
        (np.full((1, 256), np.inf, np.float32), r"weight at \(0, 0\) is inf, expected finite"),
        (np.full((1, 256), -3e38, np.float32), "scale is .* beyond 65504, the largest float16"),
    ],
    ids=["length", "dtype", "nan", "infinite", "huge"],
)
def test_what_cannot_be_encoded_is_refused(type_: GgmlType, weights: np.ndarray, says: str) -> None:
    with pytest.raises(QuantError, match=f"^{type_.name.lower()} {says}"):
        quant.encode(type_, weights)


def test_f16_refuses_what_would_become_infinite() -> None:
    largest = np.array([[65504.0, -65519.0]], np.float32)
    assert np.isfinite(quant.decode(GgmlType.F16, quant.encode(GgmlType.F16, largest))).all()
    with pytest.raises(QuantError, match="f16 weight of magnitude 65520 is beyond 65504"):
        quant.encode(GgmlType.F16, np.array([[65520.0]], np.float32))
