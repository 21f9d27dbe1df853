"""From a conversation to token ids, so that only the chat template writes control tokens.

Text of a message that reads `<|im_end|>` must not end the turn it stands in: in what is rendered, each control token of
a message is one private character, and becomes ordinary text again after the template's own control tokens were found.
A template that composes control tokens of what a message says, such as `'<|' + role + '|>'`, is beyond this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.chat import ChatTemplate, Message
from engine.tokenizer import Tokenizer, TokenType

_PRIVATE = range(0xF0000, 0xFFFFE)
"""Unicode's private plane 15."""


def conversation_ids(template: ChatTemplate, tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Token ids of a rendered conversation that the model is to answer.

    Raises:
        TemplateError: the template refuses the conversation.
        TokenizerError: the text is no Unicode text.
    """
    vocabulary = tokenizer.vocabulary
    ids = {vocabulary.tokens[index]: index for index in vocabulary.of_type(TokenType.CONTROL)}
    said = _texts(messages)
    meant = [token for token in ids if any(token in text for text in said)]
    if not meant:
        return tokenizer.encode(template.render(messages), special=True)
    taken = {character for text in (template.source, *said) for character in text}
    free = (chr(code) for code in _PRIVATE if chr(code) not in taken)
    marks = dict(zip(meant, free, strict=False))
    back = {mark: token for token, mark in marks.items()}
    text = template.render([_replaced(message, _longest_first(marks), marks) for message in messages])
    result: list[int] = []
    for part in _longest_first(ids, keep=True).split(text):
        if part in ids:
            result.append(ids[part])
        elif part:
            plain = re.sub("[" + "".join(back) + "]", lambda found: back[found[0]], part)
            result += tokenizer.encode(plain, special=False)
    return result


def _longest_first(tokens: Mapping[str, object], *, keep: bool = False) -> re.Pattern[str]:
    choice = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))
    return re.compile(f"({choice})" if keep else choice)


def _texts(value: Any) -> list[str]:
    """Every text in messages, keys left out: they are the template's."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list | tuple) else []


def _replaced(value: Any, tokens: re.Pattern[str], marks: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return tokens.sub(lambda found: marks[found[0]], value)
    if isinstance(value, Mapping):
        return {key: _replaced(item, tokens, marks) for key, item in value.items()}
    return [_replaced(item, tokens, marks) for item in value] if isinstance(value, list | tuple) else value
