"""From a problem to a prompt, and from what a model says to a program. Expected programs are written by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import ContextError
from engine.evaluate.completion import Style, answered, continued, program, request
from engine.evaluate.problems import Problem

PROMPT = 'import math\n\n\ndef area(r):\n    """Compute the area of a circle.\n\n    r is its radius.\n    """\n'
PROBLEM = Problem("t/0", PROMPT, "area", "    return math.pi * r * r\n", "def check(candidate):\n    pass\n")
BODY = "    return math.pi * r**2\n"


def area(source: str) -> float:
    space: dict[str, Any] = {}
    exec(compile(source, "program", "exec"), space)
    result: float = space["area"](1)
    return result


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        (f"Here:\n```python\ndef area(r):\n{BODY}```\nDone.", f"{PROMPT}    pass\n\n\ndef area(r):\n{BODY}"),
        (f"```\n{BODY}```", PROMPT + BODY),
        (f"```python\n{BODY}", PROMPT + BODY),
        (BODY, PROMPT + BODY),
        (f"def area(r):\n{BODY}", f"{PROMPT}    pass\n\n\ndef area(r):\n{BODY}"),
        (f"```python\ndef help(r):\n    return r\n\ndef area(r):\n{BODY}```",
         f"{PROMPT}    pass\n\n\ndef help(r):\n    return r\n\ndef area(r):\n{BODY}"),
    ],
    ids=["whole function", "body in a block", "open block", "body", "function without a block", "with a helper"],
)  # fmt: skip
def test_answers_become_programs(answer: str, source: str):
    assert answered(PROBLEM, answer) == source
    assert area(source) == pytest.approx(3.14159265)


def test_continuation_ends_with_the_function():
    said = f"{BODY}\n\nprint(area(2))\nclass Other:\n    pass\n"
    assert continued(PROBLEM, said) == f"{PROMPT}{BODY}\n\n"
    wrapped = "    return max(\n        1,\n)\n"
    assert continued(PROBLEM, wrapped) == PROMPT + wrapped


def test_requests():
    assert request(PROBLEM, "raw") == PROMPT
    assert request(PROBLEM, "code") == f"Complete this Python function.\n\n```python\n{PROMPT.rstrip()}\n```"
    assert request(PROBLEM, "docstring") == "Write a Python function to compute the area of a circle."


class Talker:
    """Says prepared pieces, as `Llm.generate` does, and counts them."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.said = 0

    def generate(self, prompt: str, *, raw: bool, max_tokens: int, on_text: Callable[[str], None]) -> object:
        assert prompt == request(PROBLEM, "raw" if raw else "code")
        for piece in self.pieces[:max_tokens]:
            self.said += 1
            on_text(piece)
        return SimpleNamespace()


def write(talker: Any, style: Style, max_tokens: int = 100) -> str:
    return program(talker, PROBLEM, style=style, max_tokens=max_tokens)


def test_raw_generation_stops_after_the_function():
    talker = Talker(["    return", " math.pi * r**2", "\n", "\n", "p", "rint", "(1)"])
    assert write(talker, "raw") == f"{PROMPT}    return math.pi * r**2\n\n"
    assert talker.said == 5


def test_chat_generation_goes_on_to_its_end():
    talker = Talker([f"```python\n{BODY}", "```", "\n", "I hope so."])
    assert write(talker, "code") == PROMPT + BODY
    assert talker.said == 4


def test_prompt_that_does_not_fit_is_no_program():
    class Full:
        def generate(self, *_: object, **__: object) -> None:
            raise ContextError("prompt has 9 tokens, the context holds 8")

    assert write(Full(), "code") == ""
