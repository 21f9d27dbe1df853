"""Attempts to refute contracts/engine/teacher/model-1-answers-v1.yaml."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import pytest

from engine.llm import Generation, Llm
from engine.teacher import arithmetic, codecheck, questions
from falsifiers.support import engines, model_1, prompts
from falsifiers.support.recorder import Recorder

# Draws the same samples from all held-out wordings in every run.
SEED = 20251121
SUMS, FACTS, FUNCTIONS, MAX_TOKENS = 64, 64, 10, 256

T = TypeVar("T")


def sample(of: Sequence[T], count: int) -> list[T]:
    return random.Random(SEED).sample(of, count)


def ends(answer: Generation) -> bool:
    """By its end token, before the limit."""
    return answer.stop_reason == "eos" and len(answer.token_ids) <= MAX_TOKENS


@pytest.mark.falsifies("FALSIFY-MODEL-1-ANSWERS-001")
def test_the_two_default_prompts(pv: Recorder) -> None:
    """Refuted by "What is 2+2?" getting another text than "2 + 2 equals 4.", or by a Fibonacci answer without a fenced
    Python block that parses and computes the numbers.

    Seen failing under q4k_nibble_swap, rope_on_q_only and output_cut_at_16_tokens.
    """
    with Llm.load(model_1.require(pv.model)) as llm:
        engines.ran_on(pv, llm.ops)
        answer = llm.generate("What is 2+2?", max_tokens=24)
        assert answer.text.strip() == "2 + 2 equals 4.", f"What is 2+2? gets {answer.text!r}"
        code = llm.generate("Write a Python function to compute the nth Fibonacci number.", max_tokens=MAX_TOKENS)
    blocks = codecheck.python_blocks(code.text)
    pv.record("fenced Python blocks", len(blocks), limit=1, unit="blocks", bound="at_least")
    pv.record("blocks that do not parse", sum(not codecheck.parses(b) for b in blocks), limit=0, unit="blocks")
    first = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55]
    verdict = codecheck.check_function(blocks[0], [((n,), value) for n, value in enumerate(first)])
    assert verdict.outcome == "right", f"{verdict.outcome}: {verdict.detail}"
    pv.record("answers without an end", 2 - ends(answer) - ends(code), limit=0, unit="answers")
    pv.record("longest answer", max(len(a.token_ids) for a in (answer, code)), limit=MAX_TOKENS, unit="tokens")


@pytest.mark.falsifies("FALSIFY-MODEL-1-ANSWERS-002")
def test_sums_in_unseen_wordings(pv: Recorder) -> None:
    """Refuted by fewer than 97 % right of 64 sums and differences of 0 to 20, in wordings that training never saw.

    The expected result is computed here. Seen failing under rope_on_q_only.
    """
    asked = sample([(i, *pair) for i, pair in enumerate(arithmetic.pairs())], SUMS)
    right, ended, answers = 0, 0, 0
    with Llm.load(model_1.require(pv.model)) as llm:
        engines.ran_on(pv, llm.ops)
        ask = prompts.asking(llm, max_tokens=MAX_TOKENS)
        for i, a, op, b in asked:
            patterns = arithmetic.ADD_HELD_OUT if op == "+" else arithmetic.SUBTRACT_HELD_OUT
            answer = ask(patterns[i % len(patterns)].format(a=a, b=b))
            answers += 1
            right += answer.text.strip() == f"{a} {op} {b} equals {a + b if op == '+' else a - b}."
            ended += ends(answer)
            if answers - right > SUMS * 0.03:
                break  # refuted, whatever the others are
    pv.record("share of right results", right / answers, limit=0.97, bound="at_least")
    pv.record("answers without an end", answers - ended, limit=0, unit="answers")
    pv.record("sums asked", answers, limit=SUMS, unit="questions", bound="at_least")


@pytest.mark.falsifies("FALSIFY-MODEL-1-ANSWERS-003")
def test_facts_in_unseen_wordings(pv: Recorder) -> None:
    """Refuted by fewer than 95 % right of 64 facts, in wordings that training never saw, or by more texts that are the
    same than wrong answers explain.

    Seen failing under gqa_wrong_head_mapping.
    """
    asked = sample(questions.fact_questions(), FACTS)
    answers: list[Generation] = []
    right = 0
    with Llm.load(model_1.require(pv.model)) as llm:
        engines.ran_on(pv, llm.ops)
        ask = prompts.asking(llm, max_tokens=MAX_TOKENS)
        for question in asked:
            answers.append(ask(question.prompt))
            right += answers[-1].text.strip() == question.answer
            if len(answers) - right > FACTS * 0.05:
                break  # refuted, whatever the others are
    pv.record("share of right facts", right / len(answers), limit=0.95, bound="at_least")
    pv.record("answers without an end", sum(not ends(answer) for answer in answers), limit=0, unit="answers")
    wanted = len({question.answer for question in asked}) - (FACTS - right)
    different = len({answer.text.strip() for answer in answers})
    pv.record("different answers", different, limit=wanted, unit="answers", bound="at_least")


@pytest.mark.falsifies("FALSIFY-MODEL-1-ANSWERS-004")
def test_functions_compute_the_right_values(pv: Recorder) -> None:
    """Refuted by fewer than 90 % of 10 requested Python functions, in wordings that training never saw, that compute
    the right values in a limited child, or by more than 5 % of blocks that do not parse.

    Expected values are literals or come from the standard library. Seen failing under output_cut_at_16_tokens.
    """
    asked = sample(questions.function_requests(), FUNCTIONS)
    answers, blocks, right, parsed, ended = 0, 0, 0, 0, 0
    with Llm.load(model_1.require(pv.model)) as llm:
        engines.ran_on(pv, llm.ops)
        ask = prompts.asking(llm, max_tokens=MAX_TOKENS)
        for prompt, function in asked:
            answer = ask(prompt)
            found = codecheck.python_blocks(answer.text)
            answers += 1
            blocks += len(found)
            parsed += sum(map(codecheck.parses, found))
            right += bool(found) and codecheck.check_function(found[0], function.cases).outcome == "right"
            ended += ends(answer)
            if answers - right > FUNCTIONS * 0.1:
                break  # refuted, whatever the others are
    pv.record("share of functions with right values", right / answers, limit=0.9, bound="at_least")
    pv.record("share of blocks that parse", parsed / blocks, limit=0.95, bound="at_least")
    pv.record("fenced Python blocks", blocks, limit=FUNCTIONS, unit="blocks", bound="at_least")
    pv.record("answers without an end", answers - ended, limit=0, unit="answers")
