"""A pytest-xdist session under supervision: a controller, and workers that are children of the supervisor as well.

    supervisor ---- spec, records, output, lifeline ----> controller: pytest -p xdist, collects and runs nothing
        |                                                     |  starts, through execnet, one for each worker
        |  <-- two pipes, over a socket in a private folder --  handover.py
        ------- spec, records, output, lifeline, pipes ----> worker: execnet's protocol on the pipes, tests

execnet would make workers children of the controller, which hides how they end and lets it choose their environment.
So it starts a process that passes the worker's pipes on, and every worker is started, bounded and killed like the
only child of a session without xdist: group, environment, limits, exit status and records of its own. Nothing that
decides goes through the controller or execnet: they only say which test runs where.

Trust: a worker's records come through a pipe that it inherits and that has no name, so the tests of one worker can
write forged records to that worker's pipe, as tests of a single child can to theirs, and to no other. The socket
takes descriptors, never records; it is gone when the last worker has started. Who connects to it in a worker's place
gets a worker of this run to talk to, and the session breaks for want of the right number.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pv.process import handover
from pv.process.supervise import Child, Exit, Stopped, Watcher, pump

Spec = dict[str, Any]


class TeamWatcher(Protocol):
    """What a caller makes of all workers together."""

    @property
    def members(self) -> Sequence[Watcher]:
        """One for each worker."""

    @property
    def deadline(self) -> float:
        """As of `Watcher`, for whatever is waited for now."""

    def ended(self, index: int, end: Exit, now: float) -> bool:
        """A worker is gone, at `time.monotonic()`; False if the session is broken by that."""

    def is_ending(self, index: int) -> bool:
        """Whether the worker has said that its session is over."""


@dataclass(frozen=True, slots=True)
class TeamExit:
    controller: Exit
    workers: tuple[Exit | None, ...]
    """None for a worker that never started, or was killed because of somebody else."""


def supervise_team(
    root: Path, controller: Spec, workers: Sequence[Spec], watcher: TeamWatcher, *,
    stop: threading.Event | None = None, environment: Mapping[str, str],
) -> TeamExit:  # fmt: skip
    """Run one session to its end, or to its first worker that ends badly.

    Args:
        controller: its "args" lack the workers, which are added here.
        workers: at least one.
    Raises:
        RunError, Stopped: as `supervise`.
    """
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        desk = stack.enter_context(_Desk(len(workers)))
        lead = Child(root, {**controller, "args": [*desk.options, *controller["args"]]}, _Silent(), environment)
        stack.enter_context(lead).register(selector)
        desk.register(selector)
        started: list[Child] = []
        ends: dict[int, Exit] = {}
        is_broken = is_late = False
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            for pipes in desk.take():
                index = len(started)
                with contextlib.ExitStack() as passed:
                    for descriptor in pipes:
                        passed.callback(os.close, descriptor)
                    child = Child(root, workers[index], watcher.members[index], environment, gateway=pipes)
                stack.enter_context(child).register(selector)
                started.append(child)
            # Asked first: what a worker did that made the controller end is seen below.
            lead_is_gone = lead.has_exited()
            for index, child in enumerate(started):
                if index not in ends and (child.broken or child.has_exited()):
                    ends[index] = child.end(selector)
                    desk.release(index)
                    is_broken = not watcher.ended(index, ends[index], time.monotonic()) or is_broken
            if is_broken:
                break
            waits_for = [index for index in range(len(started)) if index not in ends and watcher.is_ending(index)]
            if lead_is_gone and not waits_for:
                break
            left_s = watcher.deadline - time.monotonic()
            if left_s <= 0:
                is_late = True
                break
            pump(selector, left_s)
        now = time.monotonic()
        for index, child in enumerate(started):
            if is_late and index not in ends and watcher.members[index].deadline <= now:
                ends[index] = child.end(selector, timed_out=True)
        end = lead.end(selector, timed_out=is_late)
    return TeamExit(end, tuple(ends.get(index) for index in range(len(workers))))


class _Silent:
    """The controller has no records to send; it may take as long as the workers may."""

    deadline = float("inf")

    def record(self, record: dict[str, Any], now: float) -> None:
        pass


class _Desk:
    """Where the pipes of workers are handed over; open until the last has come."""

    def __init__(self, workers: int) -> None:
        self._wanted = workers
        self._connections: list[socket.socket] = []
        self._pipes: list[tuple[int, ...]] = []

    def __enter__(self) -> _Desk:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pv-", ignore_cleanup_errors=True))
            self._listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            opened = os.open(folder, os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, opened)
            # By number: the folder's own path may be too long for an address.
            self._listener.bind(f"/proc/self/fd/{opened}/{handover.SOCKET}")
            self._listener.listen(self._wanted)
            self._listener.setblocking(False)
            command = shlex.join([sys.executable, "-I", "-S", handover.__file__, folder])
            # Two slashes would end the value.
            self.options = ["--tx", f"{self._wanted}*popen//python={re.sub('//+', '/', command)}"]
            self._folder = Path(folder)
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        for descriptor in (descriptor for pipes in self._pipes for descriptor in pipes):
            os.close(descriptor)
        for connection in self._connections:
            connection.close()
        self._resources.close()

    def register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def take(self) -> list[tuple[int, ...]]:
        """Pipes that have come since the last call; the caller closes them."""
        taken, self._pipes = self._pipes, []
        return taken

    def release(self, index: int) -> None:
        """Let the process end that stands for this worker."""
        self._connections[index].close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, lambda selector: self._receive(selector, connection))

    def _receive(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        selector.unregister(connection)
        _, pipes, _, _ = socket.recv_fds(connection, 1, 2, socket.MSG_CMSG_CLOEXEC)
        if len(pipes) != 2 or len(self._connections) == self._wanted:
            for descriptor in pipes:
                os.close(descriptor)
            connection.close()
            return
        self._connections.append(connection)
        self._pipes.append(tuple(pipes))
        if len(self._connections) == self._wanted:
            selector.unregister(self._listener)
            self._listener.close()
            (self._folder / handover.SOCKET).unlink(missing_ok=True)
