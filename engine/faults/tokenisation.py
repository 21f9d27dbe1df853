"""From messages to token ids and back: templates, special tokens, merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from engine import chat, llm, tokenizer
from engine.faults.seeding import Seeded, seeded
from engine.tokenizer import Tokenizer, Vocabulary


def prompt_ignored() -> Seeded:
    """A model answers every prompt as it answered the first."""
    first: WeakKeyDictionary[llm.Llm, list[int]] = WeakKeyDictionary()

    def wrong(prompt_ids: Any, model: llm.Llm, *args: Any, **kwargs: Any) -> list[int]:
        found: list[int] = prompt_ids(model, *args, **kwargs)
        return list(first.setdefault(model, found))

    return seeded((llm.Llm, "prompt_ids", wrong))


def special_tokens_as_text() -> Seeded:
    """Control tokens of the template are split into letters."""

    def wrong(encode: Any, self: Tokenizer, text: str, *, special: bool) -> Any:
        del special
        return encode(self, text, special=False)

    return seeded((Tokenizer, "encode", wrong))


def template_drops_system() -> Seeded:
    """System messages are left out."""

    def wrong(render: Any, template: chat.ChatTemplate, messages: Sequence[chat.Message], *args: Any, **kw: Any) -> Any:
        return render(template, [message for message in messages if message["role"] != "system"], *args, **kw)

    return seeded((chat.ChatTemplate, "render", wrong))


def template_without_generation_prompt() -> Seeded:
    """The prompt ends before the assistant's turn is opened."""

    def wrong(
        render: Any,
        template: chat.ChatTemplate,
        messages: Sequence[chat.Message],
        add_generation_prompt: bool = True,
    ) -> Any:
        del add_generation_prompt
        return render(template, messages, False)

    return seeded((chat.ChatTemplate, "render", wrong))


def tokenizer_merges_dropped() -> Seeded:
    """No merge is applied: single bytes."""

    def wrong(build: Any, vocabulary: Vocabulary) -> Any:
        return build(replace(vocabulary, merges=()))

    return seeded((tokenizer, "build_bpe", wrong))
