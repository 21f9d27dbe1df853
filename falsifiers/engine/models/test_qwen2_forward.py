"""Attempts to refute contracts/engine/models/qwen2-forward-v1.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from falsifiers.support import compare, engines, golden
from falsifiers.support.recorder import Recorder

MODELS = ("grouped", "tied")
PROMPTS = range(4)


@pytest.mark.falsifies("FALSIFY-QWEN2-FORWARD-001")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_logits_equal_transformers_at_every_position(pv: Recorder, backend: str) -> None:
    """Refuted by one logit of two random models, at any position of prompts of 1 to 24 tokens, that is off by 1e-4.

    Seen failing under rope_on_q_only, bias_dropped and residual_dropped.
    """
    judged = golden.arrays("forward.npz")
    worst, compared = 0.0, 0
    for name in MODELS:
        model = engines.model(golden.path(f"{name}.gguf"), backend)
        for prompt in PROMPTS:
            expected = judged[f"{name}_logits_{prompt}"]
            got = model.forward(judged[f"{name}_ids_{prompt}"], model.new_cache())
            worst = max(worst, compare.worst_error(got, expected))
            compared += expected.size
        engines.ran_on(pv, model.ops)
    pv.record("absolute error", worst, limit=1e-4, unit="logit")
    pv.record("logits compared", compared, limit=34 * (64 + 48), unit="logits", bound="at_least")


@pytest.mark.falsifies("FALSIFY-QWEN2-FORWARD-002")
@pytest.mark.parametrize("backend", engines.BACKENDS)
def test_logits_equal_transformers_with_a_cache(pv: Recorder, backend: str) -> None:
    """Refuted by one logit off by 1e-4 when 24 tokens are run one at a time, or 7 at once and then one at a time.

    Seen failing under kv_cache_off_by_one and rope_on_q_only.
    """
    judged = golden.arrays("forward.npz")
    worst, compared = 0.0, 0
    for name in MODELS:
        model = engines.model(golden.path(f"{name}.gguf"), backend)
        ids, expected = judged[f"{name}_ids_3"], judged[f"{name}_logits_3"]
        for first in (1, 7):
            cache = model.new_cache()
            parts = [model.forward(ids[:first], cache)]
            parts += [model.forward(ids[at : at + 1], cache) for at in range(first, len(ids))]
            assert cache.length == len(ids), f"{cache.length} positions cached after {len(ids)} tokens"
            worst = max(worst, compare.worst_error(np.concatenate(parts), expected))
            compared += expected.size
        engines.ran_on(pv, model.ops)
    pv.record("absolute error", worst, limit=1e-4, unit="logit")
    pv.record("logits compared", compared, limit=2 * 24 * (64 + 48), unit="logits", bound="at_least")
