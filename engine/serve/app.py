"""The routes: what is asked over HTTP, and what is answered.

No CORS headers are sent, a body must say that it is JSON, and the Host must be one of ours: a web page that somebody
reads beside a running server can neither read from it nor make it work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.serve.answers import chunks, whole
from engine.serve.errors import INVALID, ApiError, of_exception
from engine.serve.fields import Asked, Kind, parse, parse_json
from engine.serve.replies import Reply
from engine.serve.worker import Worker

MAX_BODY_BYTES: Final = 4 << 20

Log = Callable[[str], None]
Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers of one server."""

    def __init__(self, worker: Worker, *, model: str, max_tokens: int, hosts: Collection[str] | None, log: Log) -> None:
        """
        Args:
            model: the name that clients give.
            max_tokens: new tokens of one answer at most.
            hosts: names in the Host header that are served; None: any.
            log: told about errors that are not the client's.
        """
        self._worker = worker
        self._model = model
        self._max_tokens = max_tokens
        self._hosts = hosts
        self._log = log
        self._created = int(time.time())

    def app(self) -> Starlette:
        """The ASGI application."""
        handlers: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/chat/completions", partial(self._complete, "chat")),
            ("POST", "/v1/completions", partial(self._complete, "completion")),
            ("GET", "/v1/models", self._models),
            ("GET", "/v1/models/{name:path}", self._one_model),
            ("GET", "/health", self._health),
        ]
        return Starlette(
            routes=[Route(path, self._guarded(run), methods=[method]) for method, path, run in handlers],
            exception_handlers={HTTPException: self._no_route},
        )

    def _guarded(self, run: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                self._check_host(request)
                return await run(request)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it
            except Exception as err:
                return self._refusal(err)

        return handle

    def _refusal(self, error: Exception) -> Response:
        refusal = self._as_api_error(error)
        return JSONResponse(refusal.as_json(), refusal.status, headers=refusal.headers())

    def _as_api_error(self, error: Exception) -> ApiError:
        refusal = of_exception(error)
        if refusal.status == 500:
            self._log(f"error: {type(error).__name__}: {error}")
        return refusal

    async def _no_route(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = f"{request.method} {request.url.path}: {error.detail.lower()}"
        refusal = ApiError(message, status=error.status_code, code="not_found")
        return JSONResponse(refusal.as_json(), refusal.status, headers=error.headers)

    def _check_host(self, request: Request) -> None:
        host = request.url.hostname or ""
        if self._hosts is not None and host not in self._hosts:
            raise ApiError(f"host {host[:80]!a} is not served here", status=403, code="wrong_host")

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model_card()]})

    async def _one_model(self, request: Request) -> Response:
        if request.path_params["name"] != self._model:
            message = f"no such model; this server has {self._model!r}"
            raise ApiError(message, status=404, param="model", code="model_not_found")
        return JSONResponse(self._model_card())

    def _model_card(self) -> dict[str, Any]:
        return {"id": self._model, "object": "model", "created": self._created, "owned_by": "local"}

    async def _health(self, _request: Request) -> Response:
        worker = self._worker
        return JSONResponse(
            {"status": "ok", "model": self._model, "running": worker.running, "waiting": worker.waiting}
        )

    async def _complete(self, kind: Kind, request: Request) -> Response:
        fields = parse_json(await _body(request))
        asked = parse(kind, fields, model=self._model, max_tokens=self._max_tokens)
        reply = Reply.new(kind, self._model)
        return await _unless_left(request, self._begin(asked, reply))

    async def _begin(self, asked: Asked, reply: Reply) -> Response:
        """The whole response, or a stream of which the model has begun: until then errors have a status."""
        async with AsyncExitStack() as stack:
            events = await stack.enter_async_context(self._worker.events(asked))
            await anext(events)
            if not asked.stream:
                return JSONResponse(await whole(events, reply))
            streamed = chunks(events, reply, usage=asked.stream_usage, refusal=self._as_api_error)
            return _Stream(streamed, stack.pop_all())


class _Stream(StreamingResponse):
    """Server-sent events, and what must be given back however their sending ends."""

    def __init__(self, chunks: AsyncIterator[bytes], resources: AsyncExitStack) -> None:
        super().__init__(chunks, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            await super().__call__(scope, receive, send)


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError("content-type must be application/json", status=415, code="unsupported_media_type")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            message = f"request body is longer than {MAX_BODY_BYTES} bytes"
            raise ApiError(message, status=413, kind=INVALID, code="body_too_large")
    return bytes(body)


async def _unless_left(request: Request, work: Any) -> Response:
    """The response, unless the client goes away before it is there: then the work is cancelled."""
    task: asyncio.Task[Response] = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, left):
            if not each.done():
                each.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await each


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
