"""Attempts to refute contracts/engine/quant/q8-0-dequant-v2.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine.gguf.types import GgmlType
from engine.quant import q8_0
from falsifiers.support import block_formats, compare, engines, golden, kernels, random_blocks
from falsifiers.support.recorder import Recorder


@pytest.mark.falsifies("FALSIFY-Q8-0-DEQUANT-001")
def test_weights_equal_the_definition(pv: Recorder) -> None:
    """Refuted by one weight of 256 random blocks that is not exactly d * q, or not what the `gguf` package decoded.

    Seen failing under q8_0_unsigned, which reads negative quants as large positive ones.
    """
    raw = random_blocks.blocks(256, 34, halves=(0,))
    expected = np.array([block_formats.q8_0(block.tobytes()) for block in raw])
    judged = golden.arrays("blocks.npz")
    differ = compare.mismatches(q8_0.decode(raw), expected)
    differ += compare.mismatches(q8_0.decode(judged["q8_0_raw"]), judged["q8_0_weights"])
    pv.record("weights that differ", differ, limit=0, unit="weights")
    pv.record("weights compared", expected.size, limit=256 * 32, unit="weights", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-Q8-0-DEQUANT-002")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_matmul_reads_the_same_weights(pv: Recorder, backend: str) -> None:
    """Refuted by one weight that the matmul of a backend uses and that is not the defined one.

    Seven rows of five blocks are multiplied by the identity. Seen failing under q8_0_unsigned.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    raw = random_blocks.blocks(35, 34, halves=(0,))
    expected = np.array([block_formats.q8_0(block.tobytes()) for block in raw]).astype(np.float32).reshape(7, 160)
    got = kernels.weights_read(ops, GgmlType.Q8_0, raw.reshape(7, 170), 160)
    pv.record("weights that differ", compare.mismatches(got, expected), limit=0, unit="weights")
    pv.record("weights compared", expected.size, limit=7 * 160, unit="weights", bound="at_least")
