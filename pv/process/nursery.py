"""Children from a process that has imported installed modules already; see `pv.process.warm` for its side.

Such a child is a process of its own like any other: descriptors, environment, session, limits and end are the same,
and it is watched and killed by the same code. It starts half a second of imports later. Only what a process that
passed had imported before its first test may be imported early, so a test that looks at the loaded modules finds
nothing that did not let it pass.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pv.process.start import start
from pv.process.warm import MAX_PACKET_BYTES

_READY_LIMIT_S = 60.0
"""For the imports."""
_ANSWER_LIMIT_S = 10.0


class Gone(Exception):  # noqa: N818 - the caller starts a child without it
    """The process that forks is dead, or does not answer."""


class Forked:
    """One child; as `pv.process.supervise` handles those that it starts itself."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        # Not reaped before `reap`, so the number is its own.
        self._descriptor = os.pidfd_open(pid)

    def has_exited(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def reap(self) -> int | None:
        """Its exit code, as `Popen.returncode`; None if nobody can tell any more. Its group is dead already."""
        os.close(self._descriptor)
        try:
            return int(self._nursery.ask({"reap": self.pid})["code"])
        except Gone:
            return None


class Nursery:
    """Started at once; leaving the context ends it.

    Args:
        root: working directory of the children.
        modules: what to import, in this order; those that are not installed are left out.
        environment: variables beyond the allowed ones.
    """

    def __init__(self, root: Path, modules: Iterable[str], environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._is_ready = False
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pv-", ignore_cleanup_errors=True))
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.callback(self._control.close)
            with theirs:
                self._process = start(root, folder, environment, (theirs.fileno(),))
            stack.callback(self._end)
            self._control.settimeout(_READY_LIMIT_S)
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"modules": list(modules)}).encode())
            self._resources = stack.pop_all()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._resources.close()

    def fork(self, folder: str, output: int, *inherited: int) -> Forked:
        """Start a child.

        Args:
            folder: for its temporary files.
            output: descriptor of its stdout and stderr.
            inherited: descriptors, whose numbers are the child's arguments.
        Raises:
            Gone: it cannot be started here.
        """
        answer = self.ask({"fork": folder}, (output, *inherited))
        try:
            # Number 0 is refused as well.
            return Forked(self, int(answer["pid"]))
        except OSError as err:
            raise Gone from err

    def ask(self, request: dict[str, Any], descriptors: tuple[int, ...] = ()) -> dict[str, Any]:
        """One request at a time.

        Raises:
            Gone: there is no answer, now or ever after.
        """
        with self._lock:
            try:
                if not self._is_ready:
                    self._is_ready = bool(_read(self._control))
                    self._control.settimeout(_ANSWER_LIMIT_S)
                socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
                return _read(self._control)
            except (OSError, ValueError) as err:
                self._end()
                raise Gone from err

    def _end(self) -> None:
        """Kill it; its children live on until those who watch them end them."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()


def _read(control: socket.socket) -> dict[str, Any]:
    data = control.recv(MAX_PACKET_BYTES)
    if not data:
        raise OSError("closed")
    answer: dict[str, Any] = json.loads(data)
    return answer
