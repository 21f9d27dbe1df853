"""Bodies of responses, as OpenAI's API has them."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.serve.fields import Kind

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation."""

    prompt: int
    completion: int

    def as_json(self) -> dict[str, int]:
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


@dataclass(frozen=True, slots=True)
class Reply:
    """What all parts of one response have in common."""

    kind: Kind
    model: str
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def new(cls, kind: Kind, model: str) -> Reply:
        prefix = "chatcmpl" if kind == "chat" else "cmpl"
        return cls(kind, model, f"{prefix}-{secrets.token_hex(12)}")

    def whole(self, text: str, finish: Finish, usage: Usage) -> dict[str, Any]:
        """The body of a response that is not streamed."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        if self.kind == "chat":
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
            return {**self._head("chat.completion"), "choices": [choice], "usage": usage.as_json()}
        choice["text"] = text
        return {**self._head("text_completion"), "choices": [choice], "usage": usage.as_json()}

    def first(self) -> dict[str, Any] | None:
        """The chunk before any text: who speaks. None where a stream has no such chunk."""
        return self._chunk({"role": "assistant", "content": ""}, None) if self.kind == "chat" else None

    def piece(self, text: str) -> dict[str, Any]:
        """A chunk with text."""
        return self._chunk({"content": text} if self.kind == "chat" else text, None)

    def last(self, finish: Finish) -> dict[str, Any]:
        """The chunk after all text."""
        return self._chunk({} if self.kind == "chat" else "", finish)

    def usage(self, usage: Usage) -> dict[str, Any]:
        """The chunk with the tokens, if asked for."""
        return {**self._head(self._chunk_name()), "choices": [], "usage": usage.as_json()}

    def _chunk(self, content: Any, finish: Finish | None) -> dict[str, Any]:
        name = "delta" if self.kind == "chat" else "text"
        choice = {"index": 0, name: content, "finish_reason": finish, "logprobs": None}
        return {**self._head(self._chunk_name()), "choices": [choice]}

    def _chunk_name(self) -> str:
        return "chat.completion.chunk" if self.kind == "chat" else "text_completion"

    def _head(self, name: str) -> dict[str, Any]:
        return {"id": self.id, "object": name, "created": self.created, "model": self.model}


def event(data: dict[str, Any] | str) -> bytes:
    """One server-sent event."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
