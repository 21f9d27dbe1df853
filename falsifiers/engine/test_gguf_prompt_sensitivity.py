"""Attempts to refute contracts/engine/gguf-prompt-sensitivity-v1.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from engine.llm import Llm
from falsifiers.support import engines, prompts
from falsifiers.support.recorder import Recorder

MAX_TOKENS = 96


@pytest.mark.falsifies("FALSIFY-PROMPT-SENSITIVITY-001")
def test_different_prompts_get_different_answers_at_full_length(pv: Recorder) -> None:
    """Refuted by two of seven questions with one answer, or by an answer that stops early without its end token.

    Answers are compared whole: two answers that were both cut short prove nothing. Seen failing under prompt_ignored
    and output_cut_at_16_tokens.
    """
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        answers = list(map(prompts.asking(llm, max_tokens=MAX_TOKENS), prompts.QUESTIONS))
        ends = llm.tokenizer.end_ids
    cut = [a for a in answers if a.token_ids[-1] not in ends and len(a.token_ids) < MAX_TOKENS]
    misreported = [a for a in answers if (a.stop_reason == "eos") != (a.token_ids[-1] in ends)]
    pv.record("answers cut short", len(cut), limit=0, unit="answers")
    pv.record("answers with a wrong stop reason", len(misreported), limit=0, unit="answers")
    different = len({answer.token_ids for answer in answers})
    pv.record("different answers", different, limit=len(prompts.QUESTIONS), unit="answers", bound="at_least")
    pv.record("longest answer", max(len(a.token_ids) for a in answers), limit=17, unit="tokens", bound="at_least")


@pytest.mark.falsifies("FALSIFY-PROMPT-SENSITIVITY-002")
def test_every_token_of_the_prompt_reaches_the_last_logits(pv: Recorder) -> None:
    """Refuted by a prompt token whose replacement leaves all logits of the last position as they were.

    Seen failing under attention_sees_itself_only.
    """
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        ids = prompts.long_ids(llm, 16)
        before = _last(llm, ids)
        deaf = 0
        for at in range(len(ids)):
            other = [*ids[:at], (ids[at] + 1) % llm.model.config.vocab_size, *ids[at + 1 :]]
            deaf += bool(np.array_equal(_last(llm, other), before))
    pv.record("tokens without influence", deaf, limit=0, unit="tokens")
    pv.record("tokens tried", len(ids), limit=16, unit="tokens", bound="at_least")


def _last(llm: Llm, ids: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return llm.model.forward(ids, llm.model.new_cache(), last_only=True)
