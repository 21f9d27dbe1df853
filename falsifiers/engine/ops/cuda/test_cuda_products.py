"""Attempts to refute contracts/engine/ops/cuda/cuda-products-v3.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine.gguf.types import GgmlType
from falsifiers.support import cuda
from falsifiers.support.recorder import Recorder

# (tokens, rows, blocks of 256): one row; a tail of rows and an odd number of blocks; the blocks of K = 3584.
SHAPES = ((1, 1, 1), (2, 37, 3), (1, 70, 14))
# On a GPU besides: the narrow and the wide outputs and both widths of Qwen2.5-7B, so that every tile and split runs.
GPU_SHAPES = ((1, 512, 14), (8, 3584, 74), (1, 18944, 14))


@pytest.mark.falsifies("FALSIFY-CUDA-PRODUCTS-001")
@pytest.mark.parametrize("kind", cuda.QUANTISED, ids=lambda kind: kind.name)
def test_integer_path_repeats_its_8_bit_activations(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a relative L2 above 1e-6 against float64 with the same 8-bit activations, rounded by numpy.

    Seen failing under q4k_nibbles_swapped, q6k_not_repacked, q8_scales_shifted and minimums_dropped.
    """
    cuda.needs_run(pv)
    worst = 0.0
    with cuda.recorded(pv):
        for tokens, rows, blocks in SHAPES if cuda.is_interpreted() else SHAPES + GPU_SHAPES:
            x, weight = cuda.with_outliers(cuda.draw(tokens, 256 * blocks)), cuda.weight(kind, rows, 256 * blocks)
            found = cuda.module().matmul(x, weight)
            worst = max(worst, cuda.relative(found, cuda.product(cuda.in_8_bits(x), weight)))
    pv.record("relative L2", worst, limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-PRODUCTS-002")
@pytest.mark.parametrize("kind", cuda.QUANTISED, ids=lambda kind: kind.name)
def test_8_bits_are_near_exact_activations(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a normalised squared error above 1e-4, or above 5e-4 where every 500th channel is 50 times the rest.

    Seen failing under one_scale_for_a_row, which an outlier makes coarse for all others.
    """
    cuda.needs_run(pv)
    weight, x = cuda.weight(kind, 64, 1024), cuda.draw(2, 1024)
    with cuda.recorded(pv):
        plain = cuda.relative(cuda.module().matmul(x, weight), cuda.product(x, weight))
        x = cuda.with_outliers(x)
        outliers = cuda.relative(cuda.module().matmul(x, weight), cuda.product(x, weight))
    pv.record("NMSE", plain**2, limit=1e-4)
    pv.record("NMSE with outlier channels", outliers**2, limit=5e-4)


@pytest.mark.falsifies("FALSIFY-CUDA-PRODUCTS-003")
@pytest.mark.parametrize("kind", cuda.QUANTISED, ids=lambda kind: kind.name)
def test_exact_mode_keeps_float32_activations(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a relative L2 above 2e-6 against float64.

    Seen failing under exact_mode_is_not.
    """
    cuda.needs_run(pv)
    x, weight = cuda.with_outliers(cuda.draw(1, 1024)), cuda.weight(kind, 37, 1024)
    with cuda.recorded(pv):
        found = cuda.module("exact").matmul(x, weight)
    pv.record("relative L2", cuda.relative(found, cuda.product(x, weight)), limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-PRODUCTS-004")
@pytest.mark.parametrize("kind", cuda.QUANTISED, ids=lambda kind: kind.name)
def test_prefill_is_a_float16_product(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a row of 20 tokens, one of them a million times the others, with a squared error above 1e-6.

    Seen failing under halves_not_scaled, q4k_nibbles_swapped, q6k_not_repacked and q8_scales_shifted.
    """
    cuda.needs_run(pv)
    x, weight = cuda.draw(20, 768), cuda.weight(kind, 70, 768)
    x[3] *= 1e6
    with cuda.recorded(pv):
        found = cuda.module().matmul(x, weight)
    expected = cuda.product(x, weight)
    worst = max(cuda.relative(found[t : t + 1], expected[t : t + 1]) for t in range(20))
    pv.record("NMSE of the worst row", worst**2, limit=1e-6)


@pytest.mark.falsifies("FALSIFY-CUDA-PRODUCTS-005")
@pytest.mark.parametrize("kind", cuda.QUANTISED, ids=lambda kind: kind.name)
def test_values_that_are_not_finite_are_not_lost(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by one finite product of a row with NaN or infinity in it, or by one that is not of the row beside it.

    Seen failing under not_finite_hidden.
    """
    cuda.needs_run(pv)
    weight = cuda.weight(kind, 5, 512)
    hidden = spoilt = 0
    with cuda.recorded(pv):
        for tokens in (2, 9):
            for bad in (np.nan, np.inf):
                x = cuda.draw(tokens, 512)
                x[0, 300] = bad
                found = cuda.module().matmul(x, weight)
                hidden += int(np.isfinite(found[0]).sum())
                spoilt += int((~np.isfinite(found[1:])).sum())
    pv.record("products that hide it", hidden, limit=0, unit="products")
    pv.record("products of other rows that are spoilt", spoilt, limit=0, unit="products")


@pytest.mark.falsifies("FALSIFY-CUDA-PRODUCTS-006")
@pytest.mark.parametrize("kind", cuda.PLAIN, ids=lambda kind: kind.name)
def test_plain_weights_of_any_width(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a relative L2 above 1e-6 against float64, for 1 to 1025 columns and 1 to 9 tokens.

    Seen failing under tail_dropped.
    """
    cuda.needs_run(pv)
    worst = 0.0
    with cuda.recorded(pv):
        for tokens, rows, columns in ((1, 3, 1), (2, 65, 31), (9, 33, 1025)):
            x, weight = cuda.draw(tokens, columns), cuda.weight(kind, rows, columns)
            worst = max(worst, cuda.relative(cuda.module().matmul(x, weight), cuda.product(x, weight)))
    pv.record("relative L2", worst, limit=1e-6)
