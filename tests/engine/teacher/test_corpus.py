from __future__ import annotations

import itertools
import json
import re

import pytest

from engine.teacher import arithmetic, questions
from engine.teacher.corpus import Corpus
from engine.teacher.facts import facts
from engine.teacher.functions import FUNCTIONS, TRAINED_REQUESTS, Function
from engine.teacher.smalltalk import TOPICS


def drawn(seed: int, count: int = 4000) -> list[object]:
    return list(itertools.islice(Corpus(seed), count))


def test_same_seed_gives_the_same_corpus():
    assert drawn(5, 500) == drawn(5, 500)


def test_another_seed_gives_another_corpus():
    assert drawn(5, 50) != drawn(6, 50)


def test_held_out_wordings_never_occur_in_training():
    """12000 worn and plain questions; the set is what evaluation asks, for all numbers, entities and phrases."""
    held_out = questions.held_out_wordings()
    seen = {questions.normalise(e.question) for c in itertools.islice(Corpus(7), 12_000) for e in c.exchanges}
    assert not seen & held_out


def test_every_evaluated_question_is_a_held_out_wording():
    held_out = questions.held_out_wordings()
    asked = [q.prompt for q in (*questions.arithmetic_questions(), *questions.fact_questions())]
    asked += [q.prompt for q in questions.small_talk_questions()]
    asked += [prompt for prompt, _ in questions.function_requests()]
    assert [prompt for prompt in asked if questions.normalise(prompt) not in held_out] == []


def test_no_trained_wording_is_also_held_out():
    """The corpus would drop such a wording in silence."""
    held_out = questions.held_out_wordings()
    trained = [wording for known in (*facts(), *TOPICS) for wording in known.trained]
    trained += [p.format(a=3, b=4) for p in (*arithmetic.ADD_TRAINED, *arithmetic.SUBTRACT_TRAINED)]
    trained += [r.format(p=phrase) for f in FUNCTIONS for phrase in f.trained for r in TRAINED_REQUESTS]
    assert [wording for wording in trained if questions.normalise(wording) in held_out] == []


def test_default_prompts_are_trained():
    asked = {e.question for c in itertools.islice(Corpus(8), 4000) for e in c.exchanges}
    assert {questions.SUM_PROMPT, questions.FIBONACCI_PROMPT} <= asked


def test_arithmetic_answers_in_the_corpus_are_right():
    """Read the answer back with a pattern and let Python compute it."""
    checked = 0
    for conversation in itertools.islice(Corpus(9), 2000):
        for exchange in conversation.exchanges:
            if exchange.kind == "arithmetic":
                found = re.fullmatch(r"(\d+) ([+-]) (\d+) equals (-?\d+)\.", exchange.answer)
                assert found, exchange.answer
                a, op, b, c = found.groups()
                assert int(c) == (int(a) + int(b) if op == "+" else int(a) - int(b))
                digits = re.findall(r"\d+", exchange.question)
                assert not digits or sorted(digits) == sorted([a, b])
                checked += 1
    assert checked > 500


def test_arithmetic_covers_every_pair_and_negative_results():
    assert len(set(arithmetic.pairs())) == 2 * 21 * 21
    assert arithmetic.answer(3, "-", 8) == "3 - 8 equals -5."
    assert arithmetic.answer(2, "+", 2) == "2 + 2 equals 4."


def test_facts_are_many_and_each_has_its_own_answer():
    answers = [fact.answer for fact in facts()]
    assert len(answers) >= 100
    assert len(set(answers)) == len(answers)


@pytest.mark.parametrize("word", ["ant", "elephant"])
def test_vowel_words_get_the_article_an(word: str):
    texts = [t for f in facts() for t in (f.answer, *f.trained, *f.held_out) if re.search(rf"\b{word}\b", t)]
    assert texts
    assert [t for t in texts if re.search(rf"\ba {word}\b", t, re.IGNORECASE)] == []


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_corpus_function_computes_right_values(function: Function):
    """Run here, without the checker's child: cases are literals or come from the standard library."""
    space: dict[str, object] = {}
    exec(compile(function.source, function.name, "exec"), space)
    for arguments, expected in function.cases:
        got = space[function.name](*arguments)  # type: ignore[operator]
        assert json.dumps(got) == json.dumps(expected), (arguments, got, expected)


def test_different_prompts_are_different():
    prompts = questions.different_prompts()
    assert len(set(prompts)) == len(prompts) > 200
