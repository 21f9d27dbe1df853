"""From messages to token ids and back: templates, special tokens, merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from engine import chat, llm, tokenizer
from engine.faults.seeding import Seeded, seeded
from engine.tokenizer import TextStream, Tokenizer, Vocabulary


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
        return build(replace(vocabulary, merges=vocabulary.merges[:0]))

    return seeded((tokenizer, "build_bpe", wrong))


def special_tokens_everywhere() -> Seeded:
    """Control tokens are made of any text, whatever the caller allows."""

    def wrong(encode: Any, self: Tokenizer, text: str, *, special: bool) -> Any:
        del special
        return encode(self, text, special=True)

    return seeded((Tokenizer, "encode", wrong))


def byte_alphabet_shifted() -> Seeded:
    """Bytes from 0x80 on are decoded as their right neighbour."""

    def wrong(token_bytes: Any, token: str) -> bytes:
        return bytes(byte if byte < 0x80 else 0x80 | (byte + 1) & 0x7F for byte in token_bytes(token))

    return seeded((tokenizer, "token_bytes", wrong))


def bos_added_unasked() -> Seeded:
    """A prompt begins with the BOS token whatever the template and `add_bos_token` say.

    Seen in sglang #888, llama.cpp #15086.
    """

    def wrong(prompt_ids: Any, model: llm.Llm, *args: Any, **kwargs: Any) -> list[int]:
        found: list[int] = prompt_ids(model, *args, **kwargs)
        bos_id = model.tokenizer.bos_id
        return found if bos_id is None else [bos_id, *found]

    return seeded((llm.Llm, "prompt_ids", wrong))


def pretokenizer_of_gpt2() -> Seeded:
    """Text is cut as GPT-2 cuts it, whatever `tokenizer.ggml.pre` names.

    Seen in llama.cpp #6920.
    """

    def wrong(build: Any, vocabulary: Vocabulary) -> Any:
        return build(replace(vocabulary, pre="gpt-2") if vocabulary.pre else vocabulary)

    return seeded((tokenizer, "build_bpe", wrong))


def characters_cut_between_tokens() -> Seeded:
    """Each token is decoded by itself: a character of several tokens becomes U+FFFD.

    Seen in exo #1691, QwenASR #12, lucebox #641.
    """

    def wrong(push: Any, stream: TextStream, token_id: int) -> str:
        del push
        return stream._bytes_of(token_id).decode("utf-8", "replace")

    return seeded((TextStream, "push", wrong))
