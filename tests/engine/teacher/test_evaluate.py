from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.teacher import questions
from engine.teacher.evaluate import Answer, measure, table


def perfect(prompts: Sequence[str]) -> list[Answer]:
    """An answerer that knows the tables."""
    right = {q.prompt: q.answer for q in questions.arithmetic_questions()}
    right |= {q.prompt: q.answer for q in (*questions.fact_questions(), *questions.small_talk_questions())}
    right |= {prompt: function.answer() for prompt, function in questions.function_requests()}
    right[questions.SUM_PROMPT] = questions.SUM_ANSWER
    fibonacci = next(f for _, f in questions.function_requests() if f.name == "fibonacci")
    right[questions.FIBONACCI_PROMPT] = fibonacci.answer()
    return [Answer(right.get(prompt, prompt), 9, True) for prompt in prompts]


def bars(result: dict[str, object]) -> dict[str, dict[str, object]]:
    return {bar["name"]: bar for bar in result["bars"]}  # type: ignore[attr-defined, index]


@pytest.fixture(autouse=True)
def few_functions(monkeypatch: pytest.MonkeyPatch):
    """Every block costs a child process; five prompts are enough for the arithmetic of the bars."""
    kept = questions.function_requests()[:5]
    monkeypatch.setattr(questions, "function_requests", lambda: kept)


def test_perfect_answers_reach_every_bar():
    result = measure(perfect)
    assert result["reached"], result
    assert all(bar["got"] == 1.0 for bar in result["bars"])
    assert "missed" not in table(result)


def test_wrong_sums_miss_their_bar_and_no_other():
    def bad(prompts: Sequence[str]) -> list[Answer]:
        return [
            Answer(f"{p} equals?", 5, True) if "+" in p or "minus" in p else a
            for p, a in zip(prompts, perfect(prompts), strict=True)
        ]

    result = measure(bad)
    missed = {name for name, bar in bars(result).items() if not bar["reached"]}
    assert missed == {"default sum prompt", "additions and subtractions"}
    assert not result["reached"]


def test_an_answer_without_end_is_wrong_even_if_its_text_is_right():
    def endless(prompts: Sequence[str]) -> list[Answer]:
        return [Answer(a.text, 256, False) for a in perfect(prompts)]

    found = bars(measure(endless))
    assert found["facts"]["got"] == 0.0
    assert found["answers that end within 256 tokens"]["got"] == 0.0


def test_one_answer_for_everything_is_not_distinct():
    found = bars(measure(lambda prompts: [Answer("Hello!", 2, True) for _ in prompts]))
    assert found["distinct prompts with an answer of their own"]["got"] == 0.0
    assert found["function prompts with a fenced python block"]["got"] == 0.0
