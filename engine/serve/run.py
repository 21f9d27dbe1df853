"""From a loaded model to a server that listens, until a signal ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

import uvicorn

from engine.errors import ServeError
from engine.llm import Llm
from engine.serve.app import Api
from engine.serve.worker import Worker

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_ANY: Final = ("0.0.0.0", "::", "")  # noqa: S104 - named to know them, never a default
_PENDING_CONNECTIONS: Final = 128
# Answers end at once when the server does; this bounds clients that do not read theirs.
_SHUTDOWN_S: Final = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve."""

    host: str
    port: int
    """0: any free one."""
    max_queue: int
    """Requests that wait while one runs."""
    max_tokens: int
    """New tokens of one answer at most."""


class _Server(uvicorn.Server):
    """Ends what runs when a signal comes, so that the end does not wait for it."""

    def __init__(self, config: uvicorn.Config, worker: Worker) -> None:
        super().__init__(config)
        self._worker = worker

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._worker.stop()
        super().handle_exit(sig, frame)


def serve(llm: Llm, settings: Settings, *, say: Callable[[str], None]) -> None:
    """Listen until SIGINT, which ends in KeyboardInterrupt, or SIGTERM, which ends the process.

    Args:
        say: told where the server listens, and about errors that are not a client's.

    Raises:
        ServeError: the address cannot be had.
    """
    model = llm.file.path.stem
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    worker = Worker(llm, settings.max_queue)
    hosts = None if settings.host in _ANY else {*_LOOPBACK, host, settings.host.lower()}
    api = Api(worker, model=model, max_tokens=settings.max_tokens, hosts=hosts, log=say)
    config = uvicorn.Config(
        api.app(),
        access_log=False,
        lifespan="off",
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    shown = f"[{host}]" if ":" in host else host
    if settings.host not in _LOOPBACK:
        say(f"warning: {shown} can be reached by other machines, and there is no password")
    say(f"listening on http://{shown}:{port}/v1 (model {model!r}, Ctrl-C ends)")
    try:
        with listener:
            _Server(config, worker).run(sockets=[listener])
    finally:
        worker.close()


def _listen(host: str, port: int) -> socket.socket:
    where = f"--host {host} --port {port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_PENDING_CONNECTIONS)
    except (OSError, OverflowError, UnicodeError) as err:
        # what create_server adds to the text repeats the address
        reason = (getattr(err, "strerror", None) or str(err)).partition(" (while ")[0]
        raise ServeError(f"{where}: cannot listen: {reason}") from err
