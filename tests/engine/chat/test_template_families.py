"""Templates in the manner of the common families, each with every conversation, against transformers byte for byte.

The templates were written for this test; they use what the published ones use: namespaces, macros, loop controls,
slices, filters and tests, tools, documents, the clock, refusals. All are rendered by one limited child, where
`ChatTemplate` starts one for each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError as JinjaError
from transformers import Qwen2Tokenizer
from transformers.utils import chat_template_utils

from engine import chat
from engine.chat import ChatTemplate, Limits
from engine.errors import TemplateError

FOLDER = Path(__file__).parents[2] / "data" / "templates"
TEMPLATES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.jinja"))}
NOW = datetime(2025, 3, 9, 12, 30)
BOS, EOS = "<s>", "</s>"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a place\nat a time, in words that go on for a while.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"enum": ["°C", "°F"]},
                "tags": {"type": "array", "items": {"type": ["string", "null"]}},
            },
            "required": ["place"],
        },
        "return": {"type": "string"},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Now.", "parameters": {}}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


SYSTEM = {"role": "system", "content": " Be brief; answer in <b>one</b> line. "}
CALL = {
    "type": "function",
    "id": "call00001",
    "function": {"name": "weather", "arguments": {"place": "Rome", "days": 2}},
}
ANSWERED = [user("Sun?"), assistant("", tool_calls=[CALL]), {"role": "tool", "content": '{"sun": true}'}]
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "question": {"messages": [user("What is 2+2?")]},
    "system": {"messages": [SYSTEM, user("Hi <b>&amp;</b> 'x' \"y\"")]},
    "turns": {"messages": [user("Hi"), assistant(" Hello! "), user("  ünï 😀 \n\tline two  ")]},
    "system and turns": {"messages": [SYSTEM, user("a"), assistant("b"), user("c"), assistant("d"), user("e")]},
    "ends with the assistant": {"messages": [user("a"), assistant("b")], "add_generation_prompt": False},
    "no opening": {"messages": [SYSTEM, user("a")], "add_generation_prompt": False},
    "control tokens as text": {"messages": [user("<|im_end|>{{ 7*7 }}{% raw %}</s>[/INST]<end_of_turn>")]},
    "empty": {"messages": [user(""), assistant(""), user("")]},
    "two questions": {"messages": [user("a"), user("b")]},
    "late system": {"messages": [user("a"), SYSTEM, user("b")]},
    "thoughts": {"messages": [user("a"), assistant("<think>\nhm\n</think>\n\nb"), user("c"), assistant("</think>d")]},
    "tools": {"messages": [SYSTEM, user("Sun?")], "tools": [WEATHER, CLOCK]},
    "call": {"messages": [user("Sun?"), assistant(None, tool_calls=[CALL])], "tools": [WEATHER]},
    "answered call": {"messages": [*ANSWERED, {"role": "tool", "content": "2"}, assistant("Yes.")], "tools": [WEATHER]},
    "documents": {"messages": [user("a")], "documents": [{"title": "t", "text": "one"}, {"title": "u", "text": "two"}]},
    "parts": {"messages": [user([{"type": "text", "text": " a "}, {"type": "image"}, {"type": "text", "text": "b"}])]},
}  # fmt: skip

CHILD = """
import json, sys
sys.path.insert(0, {folder!r})
import chat_child
del sys.path[0]  # the engine has a package of the name of a standard module
jobs = json.load(sys.stdin)
chat_child.limit(60, 512 << 20)
sys.path.extend(jobs[0]["paths"])
print(json.dumps([chat_child.answer(job) for job in jobs]))
"""


CASES = [(template, conversation) for template in TEMPLATES for conversation in CONVERSATIONS]


@pytest.fixture(scope="module")
def ours() -> dict[tuple[str, str], str | None]:
    """Text of each case; None where the template refuses."""
    jobs = []
    with pytest.MonkeyPatch.context() as patch:

        def take(template: ChatTemplate, variables: Mapping[str, Any]) -> str:
            jobs.append(
                {
                    **asdict(Limits()),
                    "paths": chat._jinja_folders(),
                    "source": template.source,
                    "now": template.now.isoformat(),
                    "variables": variables,
                }
            )
            return ""

        patch.setattr(ChatTemplate, "_render_in_child", take)
        for name, conversation in CASES:
            ChatTemplate(TEMPLATES[name], bos=BOS, eos=EOS, now=NOW).render(**CONVERSATIONS[conversation])
    program = CHILD.format(folder=str(Path(chat.__file__).parent))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], input=json.dumps(jobs), capture_output=True, text=True, check=True
    )
    answers = json.loads(done.stdout)
    return {case: answer.get("text") for case, answer in zip(CASES, answers, strict=True)}


@pytest.fixture(scope="module")
def theirs() -> dict[tuple[str, str], str | None]:
    judge = Qwen2Tokenizer(eos_token=EOS, bos_token=BOS)
    texts: dict[tuple[str, str], str | None] = {}

    class Clock(datetime):
        @classmethod
        def now(cls, _: Any = None) -> datetime:
            return NOW

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_template_utils, "datetime", Clock)
        for name, conversation in CASES:
            given: dict[str, Any] = {"add_generation_prompt": True, **CONVERSATIONS[conversation]}
            messages = given.pop("messages")
            try:
                text = judge.apply_chat_template(messages, chat_template=TEMPLATES[name], tokenize=False, **given)
            except (JinjaError, TypeError, AttributeError):
                text = None
            texts[name, conversation] = text
    return texts


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_prompt_equals_transformers(
    case: tuple[str, str], ours: dict[tuple[str, str], str | None], theirs: dict[tuple[str, str], str | None]
) -> None:
    assert ours[case] == theirs[case]


def test_the_cases_say_something(theirs: dict[tuple[str, str], str | None]) -> None:
    texts = [text for text in theirs.values() if text is not None]
    assert len(texts) > 200
    assert len(set(texts)) > 200
    assert len(theirs) - len(texts) > 10, "some templates must refuse some conversations"


@pytest.mark.parametrize(
    "case", [("qwen-tools", "tools"), ("granite-documents", "documents"), ("llama31-tools", "call")]
)
def test_the_public_way_gives_the_same(case: tuple[str, str], theirs: dict[tuple[str, str], str | None]) -> None:
    """The cases above share a child; a template of a model has one of its own."""
    template = ChatTemplate(TEMPLATES[case[0]], bos=BOS, eos=EOS, now=NOW)
    assert template.render(**CONVERSATIONS[case[1]]) == theirs[case]


def test_a_refusal_is_an_error() -> None:
    with pytest.raises(TemplateError, match="there is no system role"):
        ChatTemplate(TEMPLATES["gemma"]).render(**CONVERSATIONS["system"])
