"""The one thread that asks the model, and the queue before it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from engine.llm import Llm
from engine.serve.errors import busy, stopping
from engine.serve.fields import Asked
from engine.serve.replies import Finish, Usage
from engine.serve.stops import StopFilter


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt fits: text follows."""

    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """No more text."""

    finish: Finish
    usage: Usage


Event = Started | Piece | Done


class _LeaveError(Exception):
    """Raised through a generation that nobody wants any more, or that met a stop string."""


class Worker:
    """Generations one after another; made and used inside one event loop."""

    def __init__(self, llm: Llm, max_queue: int) -> None:
        """
        Args:
            max_queue: requests that may wait while one runs.
        """
        self._llm = llm
        self._max_queue = max_queue
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="generate")
        self._stopping = threading.Event()
        self.waiting = 0

    @property
    def running(self) -> bool:
        return self._turn.locked()

    def stop(self) -> None:
        """End what runs at its next piece of text or chunk of a prompt; callable from a signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """Wait until the model is not in use any more."""
        self.stop()
        self._thread.shutdown()

    @asynccontextmanager
    async def events(self, asked: Asked) -> AsyncIterator[AsyncIterator[Event]]:
        """What a generation gives: `Started`, pieces, `Done`. Leaving early cancels it.

        Raises:
            ApiError: too many wait already, or the server ends.
            EngineError: the model cannot answer this.
        """
        await self._wait_for_turn()
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | Exception] = asyncio.Queue()
        cancelled = threading.Event()

        def put(event: Event | Exception) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it everyone who would listen
                loop.call_soon_threadsafe(events.put_nowait, event)

        def run() -> None:
            try:
                put(self._generate(asked, cancelled, put))
            except Exception as err:
                put(err)

        async def stream() -> AsyncIterator[Event]:
            while True:
                event = await events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Done):
                    return

        # The turn ends with the thread's work and not with the client's interest: the model is in use until then.
        work = loop.run_in_executor(self._thread, run)
        work.add_done_callback(lambda _: self._turn.release())
        try:
            yield stream()
        finally:
            cancelled.set()

    async def _wait_for_turn(self) -> None:
        if self._stopping.is_set():
            raise stopping()
        if self._turn.locked() and self.waiting >= self._max_queue:
            raise busy(self.waiting)
        self.waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self.waiting -= 1
        if self._stopping.is_set():
            self._turn.release()
            raise stopping()

    def _generate(self, asked: Asked, cancelled: threading.Event, put: Callable[[Event], None]) -> Done:
        """Runs in the thread."""
        llm = self._llm
        raw = asked.kind == "completion"
        prompt_tokens = len(llm.prompt_ids(asked.prompt, raw=raw))
        stops = StopFilter(asked.stops)
        started = False

        def start() -> None:
            nonlocal started
            if not started:
                started = True
                put(Started(prompt_tokens))

        def go_on() -> None:
            if self._stopping.is_set():
                raise stopping()
            if cancelled.is_set():
                raise _LeaveError

        def listen(piece: str) -> None:
            go_on()
            start()
            if text := stops.push(piece):
                put(Piece(text))
            if stops.stopped:
                raise _LeaveError

        try:
            result = llm.generate(
                asked.prompt,
                raw=raw,
                max_tokens=asked.max_tokens,
                sampling=asked.sampling,
                on_text=listen,
                on_chunk=go_on,
            )
        except _LeaveError:
            # The newest token has been chosen and not run, so it is not in the cache; within the prompt there is none.
            return Done("stop", Usage(prompt_tokens, max(0, llm.kv_cache.length - prompt_tokens + 1)))
        start()
        if text := stops.finish():
            put(Piece(text))
        finish: Finish = "stop" if result.stop_reason == "eos" else "length"
        return Done(finish, Usage(prompt_tokens, len(result.token_ids)))
