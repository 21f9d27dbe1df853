"""Attempts to refute contracts/engine/ops/precision-f32-v1.yaml, precision-q16-v1.yaml and precision-q8-v1.yaml."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from falsifiers.support import compare, cpu_integer, engines, limits
from falsifiers.support.recorder import Recorder

TOKENS, ROWS, COLUMNS, OUTLIER = 3, 29, 2048, 777
"""Rows that leave a group of 8 or 16 unfinished, tokens that leave a tile unfinished."""


@pytest.mark.falsifies("FALSIFY-PRECISION-F32-001")
def test_f32_keeps_its_promise(pv: Recorder) -> None:
    """Refuted by products that are further off than 32 roundings of float32.

    Seen failing under noise and exact_products_in_16_bits.
    """
    _judge(pv, "f32", engines.ops("cpu"))


@pytest.mark.falsifies("FALSIFY-PRECISION-Q16-001")
def test_q16_keeps_its_promise(pv: Recorder) -> None:
    """Refuted by products that are further off than 16-bit activations explain.

    Seen failing under integer_low_plane_dropped.
    """
    _judge(pv, "q16", cpu_integer.ops("q16"))


@pytest.mark.falsifies("FALSIFY-PRECISION-Q8-001")
def test_q8_keeps_its_promise(pv: Recorder) -> None:
    """Refuted by products that are further off than 8-bit activations explain.

    Seen failing under integer_low_plane_dropped and one_scale_for_a_row_of_activations.
    """
    _judge(pv, "q8", cpu_integer.ops("q8"))


def _judge(pv: Recorder, precision: str, ops: Any) -> None:
    engines.ran_on(pv, ops)
    usual = np.random.default_rng(8).standard_normal((TOKENS, COLUMNS)).astype(np.float32)
    outlier = usual.copy()
    outlier[:, OUTLIER] = 50 * np.sign(usual[:, OUTLIER])
    worst = {"usual-error": 0.0, "outlier-error": 0.0}
    for kind in cpu_integer.FORMATS:
        weight, values = cpu_integer.random_weight(kind, ROWS, COLUMNS, seed=8)
        for claim, x in (("usual-error", usual), ("outlier-error", outlier)):
            found, exact = ops.matmul(x, weight).astype(np.float64), x.astype(np.float64) @ values.T
            compare.worst_error(found, exact)  # refuses NaN and another shape
            worst[claim] = max(worst[claim], float(np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2))))
    for claim, error in worst.items():
        contract = f"contracts/engine/ops/precision-{precision}-v1.yaml#{claim}"
        limits.record(pv, contract, f"{claim} of {precision} over the rms of the products", error)
