"""Attempts to refute contracts/engine/chat-template-v1.yaml."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from engine import chat
from engine.gguf import reader
from engine.llm import Llm
from engine.tokenizer import Tokenizer
from falsifiers.support import engines, golden, prompts
from falsifiers.support.recorder import Recorder

QUESTION = "What is 2+2?"
SYSTEM = "Reply with one word only."


@pytest.mark.falsifies("FALSIFY-CHAT-TEMPLATE-001")
def test_prompts_equal_those_of_transformers(pv: Recorder) -> None:
    """Refuted by one character of one rendered conversation that differs from transformers' apply_chat_template.

    Three templates (trimmed blocks, namespaces, loop controls, tojson) and four conversations with braces, emoji,
    code and line separators. Seen failing under template_without_generation_prompt and template_drops_system.
    """
    judged = golden.document("chats.json")
    templates = {
        name: chat.ChatTemplate(source, bos="<|endoftext|>", eos="<|im_end|>")
        for name, source in judged["templates"].items()
    }
    wrong = [
        (name, number, prompt)
        for name, number, prompt, text in judged["rendered"]
        if templates[name].render(judged["chats"][number], add_generation_prompt=prompt) != text
    ]
    pv.record("prompts that differ", len(wrong), limit=0, unit="prompts")
    pv.record("prompts compared", len(judged["rendered"]), limit=8, unit="prompts", bound="at_least")
    pv.ran_on({"target": "cpu"})
    assert not wrong, wrong


@pytest.mark.falsifies("FALSIFY-CHAT-TEMPLATE-002")
def test_the_model_sees_the_canonical_message(pv: Recorder) -> None:
    """Refuted by a prompt of the model under test that loses or repeats the message or the system text, or that does
    not end where the assistant begins to speak.

    A model without a template is not judged. Seen failing under template_without_generation_prompt and
    template_drops_system.
    """
    with reader.open_gguf(pv.model) as file:
        tokenizer = Tokenizer.from_gguf(file)
        template = chat.ChatTemplate.from_gguf(
            file, bos=tokenizer.token(tokenizer.bos_id), eos=tokenizer.token(tokenizer.eos_id)
        )
    if template is None:
        pytest.skip("the model under test has no chat template")
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    closed = template.render(messages, add_generation_prompt=False)
    opened = template.render(messages, add_generation_prompt=True)
    asked = [*messages, {"role": "assistant", "content": "4"}, {"role": "user", "content": "Why?"}]
    longer = template.render(asked, add_generation_prompt=True)
    faults = {
        "the message occurs once": closed.count(QUESTION) == 1,
        "the system text occurs once, before the message": -1 < closed.find(SYSTEM) < closed.find(QUESTION),
        "the prompt continues the conversation": opened.startswith(closed) and len(opened) > len(closed),
        "the assistant's turn is opened by a control token": opened[len(closed) :].startswith(_controls(tokenizer)),
        "a later turn begins as the first prompt": longer.startswith(opened),
    }
    broken = [name for name, holds in faults.items() if not holds]
    pv.record("broken properties", len(broken), limit=0, unit="properties")
    pv.record("properties looked at", len(faults), limit=5, unit="properties", bound="at_least")
    pv.ran_on({"target": "cpu"})
    assert not broken, broken


@pytest.mark.falsifies("FALSIFY-CHAT-TEMPLATE-003")
def test_fenced_blocks_of_an_answer_parse(pv: Recorder) -> None:
    """Refuted by a fence that stays open, by a Python block that `ast` refuses, or by an answer without any, when the
    model under test is asked for a function through its template.

    A model without a template is not judged. Seen failing under output_cut_at_16_tokens.
    """
    with Llm.load(pv.model) as llm:
        if llm.template is None:
            pytest.skip("the model under test has no chat template")
        engines.ran_on(pv, llm.ops)
        text = llm.generate(prompts.QUESTIONS[-1], max_tokens=256).text
    blocks = list(_python_blocks(text))
    pv.record("fences that stay open", text.count("```") % 2, limit=0, unit="fences")
    pv.record("fenced Python blocks", len(blocks), limit=1, unit="blocks", bound="at_least")
    pv.record("blocks that do not parse", sum(not _parses(block) for block in blocks), limit=0, unit="blocks")


def _python_blocks(text: str) -> Iterator[str]:
    for number, part in enumerate(text.split("```")):
        language, _, source = part.partition("\n")
        if number % 2 and language.strip().lower() in ("python", "py"):
            yield source


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _controls(tokenizer: Tokenizer) -> tuple[str, ...]:
    return tuple(tokenizer.vocabulary.tokens[i] for i, kind in enumerate(tokenizer.vocabulary.types) if kind == 3)
