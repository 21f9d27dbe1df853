"""Questions for any chat model, and how to ask them of a model with or without a chat template."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def asking(llm: Llm, *, max_tokens: int) -> Callable[..., Generation]:
    """A function of a question (and of `sampling`) that gives what `ask` gives, rendering the chat template twice only.

    The engine renders in a process of its own, which would take most of the time of a short answer; so a question is
    put into the text rendered for another one. A template for which that gives another prompt is rendered each time.
    """
    marker, trial = "QUESTION", "What is 3 + 4?"
    text = llm.template.render([{"role": "user", "content": marker}]) if llm.template is not None else marker
    is_same = llm.prompt_ids(text.replace(marker, trial), raw=True) == ids(llm, trial)
    if text.count(marker) != 1 or not is_same:
        return lambda question, sampling=None: ask(llm, question, max_tokens=max_tokens, sampling=sampling)

    def ask_raw(question: str, sampling: Sampling | None = None) -> Generation:
        return llm.generate(text.replace(marker, question), raw=True, max_tokens=max_tokens, sampling=sampling)

    return ask_raw


def ids(llm: Llm, question: str = QUESTIONS[0]) -> list[int]:
    return llm.prompt_ids(question, raw=llm.template is None)


def long_ids(llm: Llm, count: int) -> list[int]:
    """At least two questions in one, cut to `count` tokens: longer than a vector of any width."""
    text = " ".join(QUESTIONS * 8)
    found: Sequence[int] = llm.prompt_ids(text, raw=True)
    assert len(found) >= count, f"only {len(found)} tokens, expected {count}"
    return list(found[:count])
