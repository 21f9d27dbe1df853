"""Attempts to refute contracts/engine/traced-is-production-v1.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine import trace
from engine.llm import Llm
from engine.ops.protocol import F32
from falsifiers.support import compare, engines, prompts
from falsifiers.support.recorder import Recorder

TOKENS = 12


@pytest.mark.falsifies("FALSIFY-TRACE-001")
def test_taps_change_no_bit(pv: Recorder) -> None:
    """Refuted by one bit of one logit, in prefill or decode, or one generated token, that a tap changes.

    Seen failing under tap_runs_another_forward, a traced path that is not the production path.
    """
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        ids = prompts.long_ids(llm, TOKENS)
        plain: list[F32] = []
        tapped: list[F32] = []
        for found, tap in ((plain, None), (tapped, trace.Recorder())):
            cache = llm.model.new_cache()
            found.append(llm.model.forward(ids[:-1], cache, tap=tap))
            found.append(llm.model.forward(ids[-1:], cache, tap=tap))
        differ = compare.bit_mismatches(np.concatenate(tapped), np.concatenate(plain))
    pv.record("logits that differ", differ, limit=0, unit="logits")
    pv.record("logits compared", sum(part.size for part in plain), limit=1, unit="logits", bound="at_least")


@pytest.mark.falsifies("FALSIFY-TRACE-002")
def test_taps_show_what_production_used(pv: Recorder) -> None:
    """Refuted by a named place that is not tapped once per token, or by a tapped array that is not the one used.

    What is tapped must follow from its neighbours by the same operation: attn_residual = x + attn_proj, residual =
    attn_residual + down, swiglu = swiglu(gate, up), bias places differ from their inputs by one vector, and the last
    array is the result. Seen failing under tap_shows_stale_arrays, which shows each layer the arrays of layer 0.
    """
    recorder = trace.Recorder()
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        ops, layers = llm.ops, llm.model.config.num_layers
        result = llm.logits(prompts.long_ids(llm, TOKENS), tap=recorder)
    places: list[tuple[str, int | None]] = [(name, layer) for layer in range(layers) for name in trace.LAYER_TAPS]
    places += [(name, None) for name in trace.MODEL_TAPS]
    missing = [place for place in places if place not in recorder.arrays]
    assert not missing, f"places without a tap: {missing}"
    wrong_counts = sum(len(recorder.tokens(name, layer)) != TOKENS for name, layer in places)
    differ = compare.bit_mismatches(recorder.tokens("logits"), result)
    x = recorder.tokens("embedding")
    for layer in range(layers):
        seen = {name: recorder.tokens(name, layer) for name in trace.LAYER_TAPS}
        differ += compare.bit_mismatches(seen["attn_residual"], ops.add(x, seen["attn_proj"]))
        differ += compare.bit_mismatches(seen["swiglu"], ops.swiglu(seen["gate"], seen["up"]))
        differ += compare.bit_mismatches(seen["residual"], ops.add(seen["attn_residual"], seen["down"]))
        x = seen["residual"]
    pv.record("places with another number of tokens", wrong_counts, limit=0, unit="places")
    pv.record("elements that do not follow", differ, limit=0, unit="elements")
    pv.record("places seen", len(places), limit=len(trace.LAYER_TAPS) + 3, unit="places", bound="at_least")
