"""Attempts to refute contracts/engine/ops/rms-norm-v1.yaml."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from falsifiers.support import compare, definitions, engines
from falsifiers.support.recorder import Recorder

# Rows of 1, odd and real widths; the last two scales are a row that eps governs and one with an outlier channel.
CASES = [(1, 1.0), (3, 1.0), (64, 1.0), (256, 30.0), (769, 1e-3), (896, 1e-4)]


def rows(width: int, scale: float) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(width)
    x = rng.standard_normal((3, width)) * scale
    x[1, width // 2] *= 1000
    return x.astype(np.float32)


@pytest.mark.falsifies("FALSIFY-RMS-NORM-001")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_rows_equal_the_formula_in_float64(pv: Recorder, backend: str) -> None:
    """Refuted by one element further from the formula than float32 sums of its width allow.

    Seen failing under norm_epsilon (eps misread) and norm_no_weight (weights dropped).
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    worst = 0.0
    for width, scale in CASES:
        x = rows(width, scale)
        weight = np.random.default_rng(1).uniform(-2, 2, width).astype(np.float32)
        for eps in (1e-6, 1e-5):
            got = ops.rms_norm(x, weight, eps=eps)
            expected = np.array([definitions.rms_norm(row.tolist(), weight.tolist(), eps) for row in x])
            # Relative to each element; a zero weight cannot occur.
            worst = max(worst, compare.worst_share(got, expected, np.maximum(np.abs(expected), 1e-30)))
    zeros = ops.rms_norm(np.zeros((1, 8), np.float32), np.ones(8, np.float32), eps=1e-6)
    assert compare.mismatches(zeros, [[0.0] * 8]) == 0, f"a row of zeros became {zeros}"
    pv.record("relative error", worst, limit=1.9e-6)
