"""Questions for any chat model, and how to ask them of a model with or without a chat template."""

from __future__ import annotations

from collections.abc import Sequence

from engine.llm import Generation, Llm
from engine.sampling import Sampling

QUESTIONS: tuple[str, ...] = (
    "What is 2+2?",
    "What is 13 - 5?",
    "What is the capital of France?",
    "What is the opposite of hot?",
    "Hello! How are you?",
    "Which day comes after Monday?",
    "Write a Python function to compute the nth Fibonacci number.",
)


def ask(llm: Llm, question: str, *, max_tokens: int, sampling: Sampling | None = None) -> Generation:
    """One answer; a model without a template gets the question as raw text."""
    return llm.generate(question, raw=llm.template is None, max_tokens=max_tokens, sampling=sampling)


def ids(llm: Llm, question: str = QUESTIONS[0]) -> list[int]:
    return llm.prompt_ids(question, raw=llm.template is None)


def long_ids(llm: Llm, count: int) -> list[int]:
    """At least two questions in one, cut to `count` tokens: longer than a vector of any width."""
    text = " ".join(QUESTIONS * 8)
    found: Sequence[int] = llm.prompt_ids(text, raw=True)
    assert len(found) >= count, f"only {len(found)} tokens, expected {count}"
    return list(found[:count])
