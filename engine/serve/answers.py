"""What a generation gives, as the body of a response or as the chunks of a stream; no HTTP library is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from engine.serve.errors import ApiError
from engine.serve.replies import Reply, event
from engine.serve.worker import Done, Event, Piece


async def whole(events: AsyncIterator[Event], reply: Reply) -> dict[str, Any]:
    """The body of a response that is not streamed."""
    pieces: list[str] = []
    async for happened in events:
        if isinstance(happened, Piece):
            pieces.append(happened.text)
        elif isinstance(happened, Done):
            return reply.whole("".join(pieces), happened.finish, happened.usage)
    raise AssertionError("a generation ended without saying so")


async def chunks(
    events: AsyncIterator[Event], reply: Reply, *, usage: bool, refusal: Callable[[Exception], ApiError]
) -> AsyncIterator[bytes]:
    """Server-sent events, the last of them [DONE] or an error.

    Args:
        usage: a last chunk states the tokens.
        refusal: what a client is told of an error.
    """
    if first := reply.first():
        yield event(first)
    try:
        async for happened in events:
            if isinstance(happened, Piece):
                yield event(reply.piece(happened.text))
            elif isinstance(happened, Done):
                yield event(reply.last(happened.finish))
                if usage:
                    yield event(reply.usage(happened.usage))
    except Exception as err:
        yield event(refusal(err).as_json())
        return
    yield event("[DONE]")
