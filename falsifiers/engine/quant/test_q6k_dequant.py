"""Attempts to refute contracts/engine/quant/q6k-dequant-v1.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine.gguf.types import GgmlType
from engine.quant import q6_k
from falsifiers.support import block_formats, compare, engines, golden, kernels, model_blocks, random_blocks
from falsifiers.support.recorder import Recorder


@pytest.mark.falsifies("FALSIFY-Q6K-DEQUANT-001")
def test_weights_equal_the_definition(pv: Recorder) -> None:
    """Refuted by one weight of 64 random blocks that is not exactly d * s * (q - 32).

    Scales cover all float16 and all int8, both signs. Seen failing under q6k_high_bits_lost and q6k_scale_unsigned.
    """
    raw = random_blocks.blocks(64, 210, halves=(208,))
    expected = np.array([block_formats.q6_k(block.tobytes()) for block in raw])
    pv.record("weights that differ", compare.mismatches(q6_k.decode(raw), expected), limit=0, unit="weights")
    pv.record("weights compared", expected.size, limit=64 * 256, unit="weights", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-Q6K-DEQUANT-002")
def test_weights_equal_the_gguf_package(pv: Recorder) -> None:
    """Refuted by one weight whose value differs from what the `gguf` package decoded from the same bytes.

    Seen failing under q6k_high_bits_lost and q6k_scale_unsigned.
    """
    judged = golden.arrays("blocks.npz")
    differ = compare.mismatches(q6_k.decode(judged["q6_k_raw"]), judged["q6_k_weights"])
    pv.record("weights that differ", differ, limit=0, unit="weights")
    pv.record("weights compared", judged["q6_k_weights"].size, limit=1, unit="weights", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-Q6K-DEQUANT-003")
def test_weights_of_the_model_equal_the_definition(pv: Recorder) -> None:
    """Refuted by one weight in the first and last block of any Q6_K tensor of the model under test.

    The file is read by a second parser. Seen failing under q6k_high_bits_lost.
    """
    raw = model_blocks.first_and_last(pv.model, "Q6_K")
    if not len(raw):
        pytest.skip("the model under test has no Q6_K tensor")
    expected = np.array([block_formats.q6_k(block.tobytes()) for block in raw])
    pv.record("weights that differ", compare.mismatches(q6_k.decode(raw), expected), limit=0, unit="weights")
    pv.record("blocks compared", len(raw), limit=1, unit="blocks", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-Q6K-DEQUANT-004")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_matmul_reads_the_same_weights(pv: Recorder, backend: str) -> None:
    """Refuted by one weight that the matmul of a backend uses and that is not the defined one.

    Seven rows of three blocks are multiplied by the identity. Seen failing under q6k_scale_unsigned.
    """
    ops = engines.ops(backend)
    engines.ran_on(pv, ops)
    raw = random_blocks.blocks(33, 210, halves=(208,))[:21]
    expected = np.array([block_formats.q6_k(block.tobytes()) for block in raw]).astype(np.float32).reshape(7, 768)
    got = kernels.weights_read(ops, GgmlType.Q6_K, raw.reshape(7, 630), 768)
    pv.record("weights that differ", compare.mismatches(got, expected), limit=0, unit="weights")
    pv.record("weights compared", expected.size, limit=7 * 768, unit="weights", bound="at_least")
