"""Attempts to refute contracts/engine/decode-step-replay-v1.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine.kv_cache import KvCache
from engine.llm import Llm
from engine.ops.cpu.integer import IntegerOps
from engine.ops.cpu.recording import Step
from falsifiers.support import compare, engines, prompts
from falsifiers.support.recorder import Recorder

STEPS = 12
KEPT = 5
PROMPTS = ((250, 250), (275, 100))
"""Tokens, and how many of them are kept. A cache has room for 256 positions at first: more is made between two steps,
or for the prompt before them."""


@pytest.mark.falsifies("FALSIFY-STEP-REPLAY-001")
@pytest.mark.parametrize("kind", ["f16", "f32"])
@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_steps_run_again_have_the_same_bits(pv: Recorder, precision: str, kind: str) -> None:
    """Refuted by one bit of a logit, a key or a value.

    Seen failing under step_keeps_its_token, step_keeps_its_position and step_outlives_its_memory.
    """
    with Llm.load(pv.model, precision=precision) as llm, _counted() as again:
        engines.ran_on(pv, llm.ops)
        ids = prompts.long_ids(llm, 25)
        differ = 0
        for length, kept in PROMPTS:
            cache, judge = (llm.model.new_cache().empty_as(kind) for _ in range(2))
            differ += _differing(llm, cache, judge, ids[:STEPS])
            for each in (cache, judge):
                each.truncate(KEPT)
            differ += _differing(llm, cache, judge, ids[STEPS : 2 * STEPS])
            for each in (cache, judge):
                each.reset()
                llm.model.forward(ids * (length // len(ids)), each, last_only=True)
                each.truncate(kept)
            differ += _differing(llm, cache, judge, ids[:STEPS])
            for layer in range(llm.model.config.num_layers):
                for stored, right in zip(cache.view(layer), judge.view(layer), strict=True):
                    differ += compare.bit_mismatches(stored.astype(np.float32), right.astype(np.float32))
    pv.record("elements that differ", differ, limit=0, unit="elements")
    pv.record("steps run again", len(again), limit=60, unit="steps", bound="at_least")


@pytest.mark.falsifies("FALSIFY-STEP-REPLAY-002")
@pytest.mark.parametrize("operation", ["rope", "add", "swiglu"])
def test_work_outside_of_jobs_is_never_left_out(pv: Recorder, operation: str) -> None:
    """Refuted by a step that is run again although numpy scaled the result of one operation, or by one bit.

    Seen failing under recording_trusts_every_array.
    """
    original = getattr(IntegerOps, operation)

    def scaled(*arguments: Any, **named: Any) -> Any:
        return original(*arguments, **named) * np.float32(0.75)

    with (
        Llm.load(pv.model, precision="q8") as llm,
        mock.patch.object(IntegerOps, operation, scaled),
        _counted() as again,
    ):
        engines.ran_on(pv, llm.ops)
        cache, judge = llm.model.new_cache(), llm.model.new_cache()
        differ = _differing(llm, cache, judge, prompts.long_ids(llm, 6))
    pv.record("logits that differ", differ, limit=0, unit="logits")
    pv.record("steps run again", len(again), limit=0, unit="steps")


def _differing(llm: Llm, cache: KvCache, judge: KvCache, ids: list[int]) -> int:
    """Logits that differ between steps as in production and with a tap, which runs operation by operation."""
    found = 0
    for token in ids:
        stepped = llm.model.forward([token], cache)
        found += compare.bit_mismatches(stepped, llm.model.forward([token], judge, tap=lambda *_: None))
    return found


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Tokens of the steps that were run again."""
    original = Step.run
    tokens: list[int] = []

    def run(self: Step, token_id: int, kv_cache: KvCache) -> Any:
        tokens.append(token_id)
        return original(self, token_id, kv_cache)

    with mock.patch.object(Step, "run", run):
        yield tokens
