"""Attempts to refute contracts/engine/quant/other-dequant-v1.yaml."""

from __future__ import annotations

import pytest

from engine import quant
from engine.gguf.types import GgmlType
from falsifiers.support import compare, engines, golden, kernels
from falsifiers.support.recorder import Recorder

TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q5_K")
WEIGHTS = 12 * (4 * 32 + 3 * 256)
"""Twelve blocks of each type."""


@pytest.mark.falsifies("FALSIFY-OTHER-DEQUANT-001")
def test_weights_equal_the_gguf_package(pv: Recorder) -> None:
    """Refuted by one weight whose value differs from what the `gguf` package decoded from the same bytes.

    Seen failing under q3k_scales_of_four_bits and q4_1_header_of_q4_0.
    """
    judged = golden.arrays("other_blocks.npz")
    compared = 0
    for name in TYPES:
        raw, expected = judged[f"{name.lower()}_raw"], judged[f"{name.lower()}_weights"]
        differ = compare.mismatches(quant.CODECS[GgmlType[name]].decode(raw), expected)
        pv.record(f"weights of {name} that differ", differ, limit=0, unit="weights")
        compared += expected.size
    pv.record("weights compared", compared, limit=WEIGHTS, unit="weights", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-OTHER-DEQUANT-002")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_matmul_reads_the_same_weights(pv: Recorder, backend: str) -> None:
    """Refuted by one weight that the matmul of a backend uses and that is not the one of the `gguf` package.

    Seen failing under q3k_scales_of_four_bits and q4_1_header_of_q4_0.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    judged = golden.arrays("other_blocks.npz")
    compared = 0
    for name in TYPES:
        raw, expected = judged[f"{name.lower()}_raw"], judged[f"{name.lower()}_weights"]
        got = kernels.weights_read(ops, GgmlType[name], raw, expected.shape[1])
        pv.record(f"weights of {name} that differ", compare.mismatches(got, expected), limit=0, unit="weights")
        compared += expected.size
    pv.record("weights compared", compared, limit=WEIGHTS, unit="weights", bound="at_least")
