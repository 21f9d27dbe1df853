"""Weights made on the device are blocks that decode to numbers of the size meant."""

from __future__ import annotations

import numpy as np
import pytest

from engine import synthetic
from engine.gguf.types import RUNNABLE_TYPES, GgmlType, layout
from engine.ops.cuda import residence, resident, weights
from engine.ops.cuda.random_weight import instead_of_uploads, random_weight
from engine.ops.protocol import Weight

ROWS, COLUMNS = 8, 512
MIX = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q5_0, GgmlType.Q8_0)
"""Types of synthetic models; their weights have both signs alike."""
NOTHING = np.empty((0, 0), np.uint8)
"""Data that cannot be uploaded by mistake."""


@pytest.mark.parametrize("kind", sorted(RUNNABLE_TYPES), ids=lambda kind: kind.name)
def test_decoded_weights_have_the_rms_of_synthetic_files(kind: GgmlType) -> None:
    """Rows by the embedding, which decodes; 4096 weights of random scales have an rms within a quarter of 0.03."""
    host = Weight("token_embd.weight", kind, (ROWS, COLUMNS), NOTHING)
    with residence.Residence().entered(), instead_of_uploads(synthetic.mean_scales):
        values = resident.embedding(host, np.arange(ROWS)).numpy()
    assert np.isfinite(values).all()
    assert float(np.sqrt(np.mean(values**2))) == pytest.approx(0.03, rel=0.25)
    assert len(np.unique(values)) > 100
    if kind in MIX:
        assert abs(float(values.mean())) < 0.01


def test_size_is_that_of_the_file() -> None:
    for kind in sorted(RUNNABLE_TYPES):
        block_size, type_size = layout(kind)
        made = random_weight(Weight("w", kind, (ROWS, COLUMNS), NOTHING), synthetic.mean_scales)
        assert made.size_bytes == ROWS * COLUMNS // block_size * type_size


def test_uploads_are_back_afterwards() -> None:
    before = weights.upload
    with instead_of_uploads(synthetic.mean_scales):
        assert weights.upload is not before
    assert weights.upload is before
