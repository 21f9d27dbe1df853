"""Attempts to refute contracts/engine/ops/swiglu-v1.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from falsifiers.support import compare, definitions, engines
from falsifiers.support.recorder import Recorder


@pytest.mark.falsifies("FALSIFY-SWIGLU-001")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_elements_equal_the_formula_in_float64(pv: Recorder, backend: str) -> None:
    """Refuted by one element further from gate * sigmoid(gate) * up than float32 exp and three products allow.

    Seen failing under swiglu_gate_up_swapped and swiglu_no_sigmoid.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    rng = np.random.default_rng(0)
    gate = np.concatenate([rng.standard_normal(700) * 4, np.linspace(-80, 80, 69)]).astype(np.float32).reshape(1, -1)
    up = rng.standard_normal(gate.shape).astype(np.float32)
    expected = [[definitions.swiglu(g, u) for g, u in zip(gate[0].tolist(), up[0].tolist(), strict=True)]]
    # exp(-gate) is off by |gate| roundings of its argument's last place at worst, so the scale grows with |gate|.
    scale = np.maximum(np.abs(expected), 1e-30) * (1 + np.abs(gate))
    worst = compare.worst_share(ops.swiglu(gate, up), expected, scale)
    pv.record("relative error over 1 + |gate|", worst, limit=2.38e-7)
    pv.record("elements compared", gate.size, limit=769, unit="elements", bound="at_least")


@pytest.mark.falsifies("FALSIFY-SWIGLU-002")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_far_gates_reach_their_limits(pv: Recorder, backend: str) -> None:
    """Refuted by NaN or infinity where exp overflows: far below 0 the gate is closed, far above it is the identity.

    Seen failing under swiglu_no_sigmoid, whose closed gate is wide open.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    gate = np.array([[-1e4, -200.0, -0.0, 0.0, 200.0, 1e4]], np.float32)
    up = np.full_like(gate, 3.0)
    got = ops.swiglu(gate, up)
    expected = [[0.0, 0.0, 0.0, 0.0, 600.0, 3e4]]
    pv.record("absolute error", compare.worst_error(got, expected), limit=1.78e-3)
