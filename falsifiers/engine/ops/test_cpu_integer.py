"""Attempts to refute contracts/engine/ops/cpu-integer-v3.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine.gguf.types import GgmlType
from falsifiers.support import compare, cpu_integer, engines
from falsifiers.support.recorder import Recorder

KINDS = tuple(cpu_integer.FORMATS)
# (tokens, rows, columns): one row, rows that leave a group of 8 or 16 unfinished, tokens that leave a tile unfinished
SHAPES = ((1, 1, 256), (1, 29, 512), (2, 16, 768), (11, 45, 512))
BY_TYPE = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
BY_PRECISION = pytest.mark.parametrize("precision", ["q8", "q16"])


def activations(tokens: int, columns: int) -> np.ndarray:
    """Gaussian, every 100th channel 50 times as large."""
    x = np.random.default_rng([tokens, columns]).standard_normal((tokens, columns)).astype(np.float32)
    x[:, ::100] *= 50
    return x


@pytest.mark.falsifies("FALSIFY-CPU-INTEGER-001")
@BY_PRECISION
@BY_TYPE
def test_the_error_is_that_of_rounding_the_activations(pv: Recorder, kind: GgmlType, precision: str) -> None:
    """Refuted by one element further from float64 than half a step of every activation can bring it.

    Seen failing under integer_offsets_dropped, integer_activations_clipped,
    integer_low_plane_dropped and integer_rows_shifted.
    """
    ops = cpu_integer.ops(precision)
    engines.ran_on(pv, ops)
    worst = 0.0
    for tokens, rows, columns in SHAPES:
        weight, values = cpu_integer.random_weight(kind, rows, columns, seed=1)
        x = activations(tokens, columns)
        half = cpu_integer.steps(x, kind, precision) / 2 @ np.abs(values).T
        rounding = (columns / 32 + 8) * 2.0**-22 * (np.abs(x).astype(np.float64) @ np.abs(values).T)
        exact = x.astype(np.float64) @ values.T
        worst = max(worst, compare.worst_share(ops.matmul(x, weight), exact, half + rounding))
    pv.record("error over the largest that rounding can make", worst, limit=1.0)


@pytest.mark.falsifies("FALSIFY-CPU-INTEGER-002")
@BY_PRECISION
@BY_TYPE
def test_weights_are_read_as_their_format_says(pv: Recorder, kind: GgmlType, precision: str) -> None:
    """Refuted by a weight, read through a product with 1 at one column, that is not the format's to float32 rounding.

    Seen failing under integer_rows_shifted and integer_offsets_dropped.
    """
    ops = cpu_integer.ops(precision)
    engines.ran_on(pv, ops)
    rows, columns = 19, 256
    weight, values = cpu_integer.random_weight(kind, rows, columns, seed=2)
    read = ops.matmul(np.eye(columns, dtype=np.float32), weight).T
    # scale, minimum, d of the activation and their products: some roundings of the larger of the two terms
    scale = np.abs(values).max(axis=1, keepdims=True)
    pv.record("weights off by more than float32 rounding", compare.worst_share(read, values, scale), limit=9.6e-7)


@pytest.mark.falsifies("FALSIFY-CPU-INTEGER-004")
@BY_TYPE
def test_no_bit_depends_on_tokens_threads_or_instructions(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by a bit that differs between 11 tokens together and one by one, 1 and 2 threads, or instruction sets.

    Seen failing under integer_tile_rounds_otherwise.
    """
    from engine.ops.cpu.integer import IntegerOps
    from engine.ops.cpu.isa import available

    ops = cpu_integer.ops("q16")
    engines.ran_on(pv, ops)
    weight, _ = cpu_integer.random_weight(kind, 45, 512, seed=5)
    x = activations(11, 512)
    together = ops.matmul(x, weight)
    alone = np.concatenate([ops.matmul(x[t : t + 1], weight) for t in range(len(x))])
    others = [IntegerOps("q16", 2), *(IntegerOps("q16", 1, isa=isa) for isa in available())]
    wrong = compare.bit_mismatches(alone, together)
    wrong += sum(compare.bit_mismatches(other.matmul(x, weight), together) for other in others)
    pv.record("elements that differ", wrong, limit=0, unit="elements")
    pv.record("other ways compared", len(others), limit=2, unit="ways", bound="at_least")


@pytest.mark.falsifies("FALSIFY-CPU-INTEGER-005")
@BY_TYPE
def test_an_outlier_channel_spoils_its_own_block_alone(pv: Recorder, kind: GgmlType) -> None:
    """Refuted by an rms error of 3 % where one channel of 2048 is 26 times the rms of the others.

    Seen failing under one_scale_for_a_row_of_activations.
    """
    ops = cpu_integer.ops("q8")
    engines.ran_on(pv, ops)
    weight, values = cpu_integer.random_weight(kind, 16, 2048, 7)
    x = np.random.default_rng(7).standard_normal((4, 2048)).astype(np.float32)
    x[:, 777] = 26 * np.sign(x[:, 777])
    got, exact = ops.matmul(x, weight), x.astype(np.float64) @ values.T
    compare.worst_error(got, exact)  # refuses NaN and another shape
    error = np.sqrt(np.mean(np.square(got - exact)) / np.mean(np.square(exact)))
    pv.record("rms of the error over the rms of the products", error, limit=3e-2)
