"""Attempts to refute contracts/engine/determinism-v1.yaml."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.llm import Generation, Llm
from engine.ops import cpu
from engine.sampling import Sampling
from falsifiers.support import compare, engines, prompts
from falsifiers.support.recorder import Recorder

TOKENS = 24


@pytest.mark.falsifies("FALSIFY-DETERMINISM-001")
def test_two_runs_agree_bit_for_bit(pv: Recorder) -> None:
    """Refuted by one bit of one logit, or one greedy token, that differs between two loads of the same file.

    Seen failing under noise, a disturbance of the logits as small as a race would make.
    """
    logits, answers = [], []
    for _ in range(2):
        with Llm.load(pv.model) as llm:
            engines.ran_on(pv, llm.ops)
            logits.append(llm.logits(prompts.long_ids(llm, TOKENS)))
            answers.append(prompts.ask(llm, prompts.QUESTIONS[2], max_tokens=TOKENS))
    pv.record("logits that differ", compare.bit_mismatches(*logits), limit=0, unit="logits")
    pv.record("logits compared", logits[0].size, limit=TOKENS, unit="logits", bound="at_least")
    pv.record("answers that differ", int(answers[0].token_ids != answers[1].token_ids), limit=0, unit="answers")


@pytest.mark.falsifies("FALSIFY-DETERMINISM-002")
def test_a_seed_fixes_the_sampled_answer(pv: Recorder) -> None:
    """Refuted by a seed that gives two answers, or by 4 seeds that give fewer than 4 answers at temperature 8.

    So hot, two answers of 24 tokens agree with a chance below 1e-9. Seen failing under seed_ignored.
    """
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        ids, ask = prompts.ids(llm), prompts.asking(llm, max_tokens=TOKENS)
        answers = [[_sampled(ask, ids, seed) for _ in range(2)] for seed in range(4)]
    pv.record("seeds with two answers", sum(a != b for a, b in answers), limit=0, unit="seeds")
    pv.record("different answers", len({first for first, _ in answers}), limit=4, unit="answers", bound="at_least")


@pytest.mark.falsifies("FALSIFY-DETERMINISM-003")
def test_the_number_of_threads_changes_no_bit(pv: Recorder) -> None:
    """Refuted by one bit of one logit, of 96 positions, that differs between one thread and all.

    A machine with one core cannot tell. Seen failing under threads_change_sums, which adds one sum per thread.
    """
    with Llm.load(pv.model) as llm:
        engines.ran_on(pv, llm.ops)
        ids = prompts.long_ids(llm, 96)
        every = cpu.threads()
        if every < 2:
            pytest.skip("one core: there is nothing to compare")
        together = llm.logits(ids)
        cpu.set_threads(1)
        try:
            assert llm.ops.threads() == 1, "the backend does not obey the number of threads"
            alone = llm.logits(ids)
        finally:
            cpu.set_threads(every)
    pv.record("logits that differ", compare.bit_mismatches(alone, together), limit=0, unit="logits")
    pv.record("threads compared with one", every, limit=2, unit="threads", bound="at_least")


def _sampled(ask: Callable[..., Generation], ids: list[int], seed: int) -> tuple[int, ...]:
    answer = ask(prompts.QUESTIONS[0], sampling=Sampling(temperature=8.0, seed=seed))
    assert list(answer.prompt_ids) == ids, "the same question became another prompt"
    return answer.token_ids
