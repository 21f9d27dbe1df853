"""What the roundings of CUDA leave of an operation, beside the reference on values rounded here."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from engine.ops import reference
from engine.ops.protocol import Ops
from engine.ops.rounded import Rounded


@pytest.mark.parametrize("window", [None, 2])
def test_attention_is_the_backends_on_float16_keys_and_values(window: int | None):
    """With a window too: a model that has one asks for it at each layer."""
    rng = np.random.default_rng(11)
    q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4, 8), (5, 2, 8), (5, 2, 8)))
    positions = np.arange(5)
    given: dict[str, Any] = {} if window is None else {"window": window}
    found = Rounded(cast("Ops", reference), "f32").attention(q, k, v, positions, **given)
    halves = [np.float32(np.float16(array)) for array in (k, v)]
    for token in range(5):
        first = 0 if window is None else max(0, token - window + 1)
        for head in range(4):
            keys, values = (array[first : token + 1, head // 2].astype(np.float64) for array in halves)
            weights = np.exp(keys @ q[token, head] / np.sqrt(8))
            np.testing.assert_allclose(found[token, head], weights @ values / weights.sum(), rtol=0, atol=1e-6)
