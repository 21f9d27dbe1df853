"""Attempts to refute contracts/engine/kv-cache-equivalence-v1.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine import trace
from engine.llm import Llm
from falsifiers.support import compare, engines, prompts
from falsifiers.support.recorder import Recorder

TOKENS = 21


@pytest.mark.falsifies("FALSIFY-KV-CACHE-001")
@pytest.mark.parametrize("split", ["singles", "chunks"])
def test_any_split_of_a_prompt_gives_the_same_logits(pv: Recorder, split: str) -> None:
    """Refuted by one bit of one logit, at any position, that depends on how the prompt was split over forwards.

    Seen failing under kv_cache_off_by_one, whose new tokens overwrite the last one.
    """
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        ids = prompts.long_ids(llm, TOKENS)
        whole = llm.logits(ids)
        cache = llm.model.new_cache()
        ends = list(range(1, TOKENS + 1)) if split == "singles" else [2, 9, TOKENS]
        starts = [0, *ends[:-1]]
        parts = [llm.model.forward(ids[start:end], cache) for start, end in zip(starts, ends, strict=True)]
    pv.record("logits that differ", compare.bit_mismatches(np.concatenate(parts), whole), limit=0, unit="logits")
    pv.record("positions cached", cache.length, limit=TOKENS, unit="positions", bound="at_least")


@pytest.mark.falsifies("FALSIFY-KV-CACHE-002")
def test_an_answer_does_not_depend_on_the_one_before(pv: Recorder) -> None:
    """Refuted by an answer that differs from that of a freshly loaded model after another prompt was answered, or by
    one bit of the logits it begins with: a good model says the same even when it remembers too much.

    Seen failing under kv_cache_not_reset.
    """
    first, second = prompts.QUESTIONS[2], prompts.QUESTIONS[0]
    answers, logits = [], []
    for earlier in ([first], []):
        with Llm.load(pv.model) as llm:
            engines.ran_on(pv, llm.ops)
            for question in earlier:
                prompts.ask(llm, question, max_tokens=8)
            seen = trace.Recorder()
            answers.append(llm.generate(second, raw=llm.template is None, max_tokens=24, tap=seen).token_ids)
            logits.append(seen.arrays["logits", None][0])
    after, fresh = answers
    longest = max(len(after), len(fresh))
    same = sum(a == b for a, b in zip(after, fresh, strict=False))
    pv.record("tokens that differ", longest - same, limit=0, unit="tokens")
    pv.record("tokens compared", longest, limit=1, unit="tokens", bound="at_least")
    pv.record("first logits that differ", compare.bit_mismatches(*logits), limit=0, unit="logits")
