"""The question sets of the evaluation: wordings that training never sees, with the one right answer of each.

Standard library only, so that falsifiers can ask the same questions without torch or numpy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.teacher import arithmetic
from engine.teacher.facts import facts
from engine.teacher.functions import FUNCTIONS, HELD_OUT_REQUESTS, TRAINED_REQUESTS, Function
from engine.teacher.smalltalk import TOPICS

# The two prompts that every default run uses; their wordings are trained on purpose.
SUM_PROMPT = "What is 2+2?"
SUM_ANSWER = "2 + 2 equals 4."
FIBONACCI_PROMPT = "Write a Python function to compute the nth Fibonacci number."


@dataclass(frozen=True)
class Question:
    category: str  # arithmetic, fact, small talk
    prompt: str
    answer: str


def normalise(text: str) -> str:
    """Case, spacing and closing punctuation do not make a different wording."""
    return re.sub(r"\s+", " ", text).strip().rstrip("?.!").strip().lower()


def arithmetic_questions() -> tuple[Question, ...]:
    """Each of the 882 problems once, in held-out wordings taken in turn."""
    asked = []
    for i, (a, op, b) in enumerate(arithmetic.pairs()):
        patterns = arithmetic.ADD_HELD_OUT if op == "+" else arithmetic.SUBTRACT_HELD_OUT
        prompt = patterns[i % len(patterns)].format(a=a, b=b)
        asked.append(Question("arithmetic", prompt, arithmetic.answer(a, op, b)))
    return tuple(asked)


def fact_questions() -> tuple[Question, ...]:
    """Every fact in each of its held-out wordings."""
    return tuple(Question("fact", prompt, fact.answer) for fact in facts() for prompt in fact.held_out)


def small_talk_questions() -> tuple[Question, ...]:
    """Every topic in each of its held-out wordings."""
    return tuple(Question("small talk", prompt, topic.answer) for topic in TOPICS for prompt in topic.held_out)


def function_requests() -> tuple[tuple[str, Function], ...]:
    """(prompt, function): held-out requests with trained phrases, and trained requests with held-out phrases."""
    asked = []
    for n, function in enumerate(FUNCTIONS):
        for i, request in enumerate(HELD_OUT_REQUESTS):
            phrase = function.trained[(n + i) % len(function.trained)]
            asked.append((request.format(p=phrase), function))
        for i, phrase in enumerate(function.held_out):
            asked.append((TRAINED_REQUESTS[(n + i) % len(TRAINED_REQUESTS)].format(p=phrase), function))
    return tuple(asked)


def different_prompts() -> tuple[str, ...]:
    """One prompt for each thing the teacher knows; no two have the same right answer."""
    sums = [f"What is {a}{op}{b}?" for a, op, b in arithmetic.pairs()[::17]]
    known = [fact.held_out[0] for fact in facts()] + [topic.held_out[0] for topic in TOPICS]
    return (SUM_PROMPT, *sums, *known, *(HELD_OUT_REQUESTS[0].format(p=f.trained[0]) for f in FUNCTIONS))


def held_out_wordings() -> frozenset[str]:
    """Every normalised prompt that training must not contain, for all numbers, entities and phrases."""
    prompts = [q.prompt for q in (*fact_questions(), *small_talk_questions())]
    for a, op, b in arithmetic.pairs():
        patterns = arithmetic.ADD_HELD_OUT if op == "+" else arithmetic.SUBTRACT_HELD_OUT
        for left, right in ((str(a), str(b)), (arithmetic.number_word(a), arithmetic.number_word(b))):
            prompts += [pattern.format(a=left, b=right) for pattern in patterns]
    for function in FUNCTIONS:
        phrases = (*function.trained, *function.held_out)
        prompts += [request.format(p=phrase) for request in HELD_OUT_REQUESTS for phrase in phrases]
        prompts += [request.format(p=phrase) for request in TRAINED_REQUESTS for phrase in function.held_out]
    return frozenset(normalise(prompt) for prompt in prompts)
