"""Attempts to refute contracts/engine/traced-is-production-v2.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine import trace
from engine.llm import Llm
from engine.ops.protocol import F32
from falsifiers.support import compare, engines, limits, prompts, tap_chain
from falsifiers.support.recorder import Recorder

CONTRACT = "contracts/engine/traced-is-production-v2.yaml"
TOKENS = 12


@pytest.mark.falsifies("FALSIFY-TRACE-001")
def test_taps_change_no_bit(pv: Recorder) -> None:
    """Refuted by one bit of one logit, in prefill or decode, that a tap changes; the tap asks for scores too.

    Seen failing under tap_runs_another_forward, a traced path that is not the production path.
    """
    with Llm.load(pv.model) as llm:
        _check_neutral(pv, llm)


@pytest.mark.falsifies("FALSIFY-TRACE-002")
def test_taps_show_what_production_used(pv: Recorder) -> None:
    """Refuted by a named place that is not tapped once per token, or by an array that is not the one used.

    What is tapped must follow from the tapped arrays before it by the backend's own operation, to the bit: see
    `falsifiers.support.tap_chain`. Scores times values must be what attention gave. Seen failing under
    tap_shows_stale_arrays, which shows each layer the arrays of layer 0, and scores_of_another_formula.
    """
    with Llm.load(pv.model) as llm:
        _check_true(pv, llm)


@pytest.mark.falsifies("FALSIFY-TRACE-003")
@pytest.mark.parametrize(
    ("backend", "precision"), [("cpu", "q8"), ("cpu", "q16"), ("reference", "f32")], ids=["q8", "q16", "reference"]
)
def test_taps_on_the_other_sides(pv: Recorder, backend: str, precision: str) -> None:
    """Refuted as 001 and 002, on the integer kernels of the CPU and on the reference; seen failing as they were."""
    with Llm.load(pv.model, backend=backend, precision=precision) as llm:
        _check_neutral(pv, llm)
        _check_true(pv, llm)


def _check_neutral(pv: Recorder, llm: Llm) -> None:
    engines.ran_on(pv, llm.ops)
    ids = prompts.long_ids(llm, TOKENS)
    plain: list[F32] = []
    tapped: list[F32] = []
    for found, tap in ((plain, None), (tapped, trace.Recorder(trace.ON_REQUEST))):
        cache = llm.new_cache()
        found.append(llm.model.forward(ids[:-1], cache, tap=tap))
        found.append(llm.model.forward(ids[-1:], cache, tap=tap))
    differ = compare.bit_mismatches(np.concatenate(tapped), np.concatenate(plain))
    pv.record("logits that differ", differ, limit=0, unit="logits")
    pv.record("logits compared", sum(part.size for part in plain), limit=1, unit="logits", bound="at_least")


def _check_true(pv: Recorder, llm: Llm) -> None:
    engines.ran_on(pv, llm.ops)
    recorder = trace.Recorder(trace.ON_REQUEST)
    layers = llm.model.config.num_layers
    result = llm.logits(prompts.long_ids(llm, TOKENS), tap=recorder)
    names = (*trace.LAYER_TAPS, *trace.ON_REQUEST)
    places: list[tuple[str, int | None]] = [(name, layer) for layer in range(layers) for name in names]
    places += [(name, None) for name in trace.MODEL_TAPS]
    missing = [place for place in places if place not in recorder.arrays]
    assert not missing, f"places without a tap: {missing}"
    wrong_counts = sum(len(recorder.tokens(name, layer)) != TOKENS for name, layer in places)
    differ = compare.bit_mismatches(recorder.tokens("logits"), result)
    links = 0
    for _, _, shown, follows in tap_chain.links(llm, recorder):
        differ += compare.bit_mismatches(shown, follows)
        links += 1
    pv.record("places with another number of tokens", wrong_counts, limit=0, unit="places")
    pv.record("elements that do not follow", differ, limit=0, unit="elements")
    pv.record("arrays that follow", links, limit=len(places) - layers - 1, unit="arrays", bound="at_least")
    limits.record(pv, f"{CONTRACT}#scores-are-true", "scores beside attention", tap_chain.worst_score(llm, recorder))
