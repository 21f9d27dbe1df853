"""Claims about MODEL-1, the bundled teacher, say nothing about another model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.llm import Generation, Llm
from falsifiers.support import gguf_parse

NAME = "pv teacher"


def require(path: Path) -> Path:
    """The path of MODEL-1; another model is not judged, so its falsifier stays open."""
    name = gguf_parse.parse(path).metadata.get("general.name")
    if name != NAME:
        pytest.skip(f"speaks of MODEL-1, whose general.name is {NAME!r}; the model under test is {name!r}")
    return path


def asking(llm: Llm, *, max_tokens: int) -> Callable[[str], Generation]:
    """A function that answers one question after another as `llm.generate` does, rendering the chat template once.

    The engine renders in a process of its own, which would take most of the time; the question is put into the text
    rendered for another one, and that this gives the same prompt is checked here.
    """
    assert llm.template is not None, "MODEL-1 has a chat template"
    marker = "QUESTION"
    text = llm.template.render([{"role": "user", "content": marker}])
    trial = "What is 3 + 4?"
    assert text.count(marker) == 1
    assert llm.prompt_ids(text.replace(marker, trial), raw=True) == llm.prompt_ids(trial), "not the same prompt"
    return lambda question: llm.generate(text.replace(marker, question), raw=True, max_tokens=max_tokens)
