"""A problem becomes a prompt, and what a model says becomes a program.

code        the model is asked to complete the prompt, shown as a fenced block; the program is the prompt, so that its
            imports and helpers are there, followed by the first fenced block of the answer
docstring   it is asked for a function that does what the first line of the docstring says; the program likewise
raw         it continues the prompt; the program is the prompt and the continuation up to the end of the function
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, Literal, get_args

from engine.errors import ContextError
from engine.evaluate.problems import Problem
from engine.evaluate.source import functions

if TYPE_CHECKING:
    from engine.llm import Llm

Style = Literal["code", "docstring", "raw"]
STYLES: Final[tuple[Style, ...]] = get_args(Style)

_FENCE: Final = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
# A line that starts in the first column, after one that does not, is no part of the function any more.
_FUNCTION_ENDS: Final = re.compile(r"\n(?=[^\s)\]}])")


class _CompleteError(Exception):
    """Raised through a generation whose program is complete."""


def program(llm: Llm, problem: Problem, *, style: Style, max_tokens: int) -> str:
    """What the model writes for a problem, chosen greedily; empty if the prompt does not fit its context."""
    said: list[str] = []
    raw = style == "raw"

    def listen(piece: str) -> None:
        said.append(piece)
        if raw and _FUNCTION_ENDS.search("".join(said)):
            raise _CompleteError

    try:
        llm.generate(request(problem, style), raw=raw, max_tokens=max_tokens, on_text=listen)
    except _CompleteError:
        pass
    except ContextError:
        return ""
    return continued(problem, "".join(said)) if raw else answered(problem, "".join(said))


def request(problem: Problem, style: Style) -> str:
    """What a model is told."""
    if style == "raw":
        return problem.prompt
    if style == "docstring" and (told := _docstring(problem)):
        return f"Write a Python function to {told[0].lower()}{told[1:].rstrip('.')}."
    return f"Complete this Python function.\n\n```python\n{problem.prompt.rstrip()}\n```"


def _docstring(problem: Problem) -> str:
    """Its first line."""
    node = functions(problem.prompt + problem.canonical_solution)[problem.entry_point]
    return (ast.get_docstring(node) or "").split("\n")[0]


def answered(problem: Problem, answer: str) -> str:
    """The program of an answer to `request`; without a block that defines the function, the answer is its body."""
    block = _FENCE.search(answer)
    code = block[1] if block else answer
    if _defines(code, problem.entry_point):
        return f"{problem.prompt.rstrip()}\n    pass\n\n\n{code}"
    return continued(problem, code)


def continued(problem: Problem, text: str) -> str:
    """The program of a continuation."""
    end = _FUNCTION_ENDS.search(text)
    return problem.prompt + (text[: end.start() + 1] if end else text)


def _defines(code: str, name: str) -> bool:
    try:
        return name in functions(code)
    except SyntaxError:
        # Its own error is more telling than that of a body in the wrong place.
        return re.search(rf"^def {re.escape(name)}\b", code, re.MULTILINE) is not None
