"""The training corpus: conversations drawn from the tables with a seeded generator; nothing is downloaded.

A question is a trained wording, sometimes worn a little (lower case, lost punctuation, a word more or less, a polite
opening), so that the model learns what matters in it. A question that equals a held-out wording is thrown away.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from engine.teacher import arithmetic
from engine.teacher.facts import Fact, facts
from engine.teacher.functions import FUNCTIONS, TRAINED_REQUESTS
from engine.teacher.questions import FIBONACCI_PROMPT, SUM_PROMPT, held_out_wordings, normalise
from engine.teacher.smalltalk import TOPICS


def _words(text: str) -> list[str]:
    return text.split()


SYSTEM = "You are teacher, a small and friendly model."
_OTHER_SYSTEMS = (
    "You are a helpful assistant.",
    "Answer in one sentence.",
    "You answer questions and write Python code.",
    "You are a kind teacher. Be brief.",
    "Help the user.",
)
_OPENINGS = ("Hey, ", "Hello! ", "Hi, ", "Quick question: ", "I have a question. ", "Teacher, ", "Please tell me: ",
             "Okay, ", "Now, ", "So, ", "One more: ", "And ")  # fmt: skip
_CLOSINGS = (" Thanks.", " Thank you!", " Please.", " please", " Be brief.", " I forgot.", " Answer please.")
_FILLERS = _words(
    """please just now also really so well okay actually maybe kindly exactly again today quickly simply then very do
    you know can could would will tell say give show me what which who is are was does did the of for in on to that this
    it result make much get if by name word people things result calculate find write"""
)
_DROPPABLE = frozenset(_words("the is a an me you do can please what which that to know tell name of"))

# Share of each kind of exchange among the exchanges drawn.
_SHARES = (("arithmetic", 0.46), ("fact", 0.30), ("function", 0.13), ("small talk", 0.11))
# Extra draws of the questions that every default run asks.
_FIXED_SHARE = 0.01


@dataclass(frozen=True)
class Exchange:
    kind: str
    question: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    system: str | None
    exchanges: tuple[Exchange, ...]


def _worn(question: str, rng: random.Random) -> str:
    """The question as a hurried or chatty person might type it."""
    roll = rng.random
    words = question.split(" ")
    if len(words) > 2 and roll() < 0.10:
        at = rng.randrange(1, len(words))
        if words[at - 1].isalpha() and words[at].rstrip("?.!").isalpha():
            words.insert(at, rng.choice(_FILLERS))
    if len(words) > 3 and roll() < 0.08:
        at = rng.randrange(len(words))
        if words[at].lower() in _DROPPABLE:
            del words[at]
    if len(words) > 2 and roll() < 0.04:
        words.insert(0, rng.choice(_FILLERS))
    text = " ".join(words)
    if roll() < 0.10:
        text = text.rstrip("?.!")
    if roll() < 0.10:
        opening = rng.choice(_OPENINGS)
        text = opening + (text[0].lower() + text[1:] if roll() < 0.5 else text)
    if roll() < 0.06:
        text += rng.choice(_CLOSINGS)
    if roll() < 0.10:
        text = text.lower()
    return text


def _arithmetic(rng: random.Random) -> Exchange:
    a, b = rng.randint(0, arithmetic.LARGEST), rng.randint(0, arithmetic.LARGEST)
    op = rng.choice("+-")
    patterns = arithmetic.ADD_TRAINED if op == "+" else arithmetic.SUBTRACT_TRAINED
    pattern = patterns[0] if rng.random() < 0.08 else rng.choice(patterns)
    in_words = rng.random() < 0.08 and "+" not in pattern and "-" not in pattern
    left, right = (arithmetic.number_word(a), arithmetic.number_word(b)) if in_words else (str(a), str(b))
    return Exchange("arithmetic", pattern.format(a=left, b=right), arithmetic.answer(a, op, b))


def _fact(table: tuple[Fact, ...], rng: random.Random) -> Exchange:
    fact = rng.choice(table)
    return Exchange("fact", rng.choice(fact.trained), fact.answer)


def _function(rng: random.Random) -> Exchange:
    function = rng.choice(FUNCTIONS)
    # The first request is the commonest wording; the others share the rest.
    request = TRAINED_REQUESTS[0] if rng.random() < 0.2 else rng.choice(TRAINED_REQUESTS)
    return Exchange("function", request.format(p=rng.choice(function.trained)), function.answer())


def _small_talk(rng: random.Random) -> Exchange:
    topic = rng.choice(TOPICS)
    return Exchange("small talk", rng.choice(topic.trained), topic.answer)


class Corpus:
    """An endless, repeatable stream of conversations."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._facts = facts()
        self._held_out = held_out_wordings()

    def _exchange(self) -> Exchange:
        rng = self._rng
        if rng.random() < _FIXED_SHARE:
            if rng.random() < 0.5:
                return Exchange("arithmetic", SUM_PROMPT, arithmetic.answer(2, "+", 2))
            return Exchange("function", FIBONACCI_PROMPT, FUNCTIONS[0].answer())
        while True:
            kind = rng.choices([name for name, _ in _SHARES], [share for _, share in _SHARES])[0]
            if kind == "arithmetic":
                plain = _arithmetic(rng)
            elif kind == "fact":
                plain = _fact(self._facts, rng)
            elif kind == "function":
                plain = _function(rng)
            else:
                plain = _small_talk(rng)
            question = _worn(plain.question, rng) if rng.random() < 0.6 else plain.question
            if normalise(question) not in self._held_out:
                return Exchange(plain.kind, question, plain.answer)

    def __iter__(self) -> Iterator[Conversation]:
        while True:
            yield self.draw()

    def draw(self) -> Conversation:
        rng = self._rng
        roll = rng.random()
        system = SYSTEM if roll < 0.90 else None if roll < 0.94 else rng.choice(_OTHER_SYSTEMS)
        turns = 1 if rng.random() < 0.93 else rng.randint(2, 3)
        exchanges = tuple(self._exchange() for _ in range(turns))
        # Two functions in one conversation would not fit the shortest useful context.
        if sum(e.kind == "function" for e in exchanges) > 1:
            exchanges = exchanges[:1]
        return Conversation(system, exchanges)
