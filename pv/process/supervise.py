"""One child process: started in its own session, watched, bounded, and never left behind.

    parent                                     child (own session and process group)
      spec in an anonymous file  ----------->  boot.py
      records                    <-----------  one JSON object a line
      last 16 KiB of output      <-----------  stdout and stderr, as one stream
      lifeline                   ----------->  SIGKILL to the group when the parent is gone

Whatever happens - exit, time limit, Ctrl-C, an exception of ours - the whole group is killed before this returns.
A process that leaves the group on purpose (setsid) escapes; isolation is not promised here.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from pv.errors import RunError
from pv.process.channel import ChannelError, Reader
from pv.process.nursery import Forked, Gone, Nursery
from pv.process.start import start

_POLL_S = 0.02
_READ_BYTES = 1 << 20
_TAIL_BYTES = 16 << 10


class Stopped(Exception):  # noqa: N818 - not an error: the caller asked for it
    """The `stop` event was set while the child ran."""


class Watcher(Protocol):
    """What a caller makes of the records, and how long it is willing to wait."""

    def record(self, record: dict[str, Any], now: float) -> None:
        """Called in the order of sending; `now` is `time.monotonic()`. May raise ChannelError."""

    @property
    def deadline(self) -> float:
        """`time.monotonic()` at which the group is killed; asked again after every record."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended."""

    code: int
    """As `subprocess.Popen.returncode`: negative for a signal."""
    timed_out: bool
    broken: str
    """Why the records could not be trusted; empty if they could."""
    output: str
    """The end of stdout and stderr."""
    duration_s: float

    @property
    def signal_name(self) -> str:
        """Such as SIGSEGV; empty if the child exited by itself."""
        if self.code >= 0:
            return ""
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"


def supervise(
    root: Path, spec: dict[str, Any], watcher: Watcher, *, stop: threading.Event | None = None,
    environment: Mapping[str, str] = MappingProxyType({}), nursery: Nursery | None = None,
) -> Exit:  # fmt: skip
    """Run one child to its end.

    Args:
        root: working directory of the child.
        spec: for `boot.py`: "plugin" (a module with `create`), "args" (for pytest), and what the plugin reads.
        environment: variables beyond the allowed ones.
        nursery: forks the child, if it can; started with the same root and environment.
    Raises:
        RunError: the child cannot be started.
        Stopped: `stop` was set; the child is dead.
    """
    with Child(root, spec, watcher, environment, nursery=nursery) as child, selectors.DefaultSelector() as selector:
        child.register(selector)
        timed_out = False
        while not (timed_out or child.broken or child.has_exited()):
            if stop is not None and stop.is_set():
                raise Stopped
            left_s = watcher.deadline - time.monotonic()
            timed_out = left_s <= 0
            pump(selector, left_s)
        return child.end(selector, timed_out=timed_out)


def pump(selector: selectors.BaseSelector, limit_s: float) -> None:
    """Read what children have sent, or wait for it a moment, and not beyond `limit_s`."""
    wait_s = max(0.0, min(_POLL_S, limit_s))
    if not selector.get_map():
        time.sleep(wait_s)
    for key, _ in selector.select(wait_s):
        key.data(selector)


class _Started:
    """A process of ours."""

    def __init__(
        self, root: Path, folder: str, environment: Mapping[str, str], output: int, inherited: tuple[int, ...],
        gateway: tuple[int, ...],
    ) -> None:  # fmt: skip
        try:
            self._process = start(root, folder, environment, inherited, passed=gateway, output=output)
        except (OSError, ValueError) as err:
            raise RunError(f"{sys.executable}: cannot start a test process: {err}") from err
        self.pid = self._process.pid

    def has_exited(self) -> bool:
        # Not reaped yet, so that the process group's number cannot be taken by somebody else before it is killed.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap(self) -> int:
        return self._process.wait()


class Child:
    """One running child; leaving the context kills its group.

    Args:
        gateway: descriptors that it inherits beside its own; their numbers are `spec["gateway"]`.
        nursery: forks it; without it, or where that fails, it is started.
    """

    def __init__(
        self, root: Path, spec: dict[str, Any], watcher: Watcher, environment: Mapping[str, str],
        gateway: tuple[int, ...] = (), nursery: Nursery | None = None,
    ) -> None:  # fmt: skip
        self.broken = ""
        """Why the records cannot be trusted."""
        self._code = 0
        self._watcher = watcher
        self._reader = Reader()
        self._tail = bytearray()
        self._started = time.monotonic()
        with contextlib.ExitStack() as stack, contextlib.ExitStack() as on_error:
            folder = tempfile.TemporaryDirectory(prefix="pv-", ignore_cleanup_errors=True)
            on_error.enter_context(folder)
            spec_file = stack.enter_context(tempfile.TemporaryFile())
            spec_file.write(json.dumps({**spec, "root": str(root), "gateway": gateway}).encode())
            spec_file.seek(0)
            self._records, records_w = os.pipe()
            self._output, output_w = os.pipe()
            lifeline_r, self._lifeline = os.pipe()
            for descriptor in (records_w, output_w, lifeline_r):
                stack.callback(os.close, descriptor)
            for descriptor in (self._records, self._output, self._lifeline):
                on_error.callback(os.close, descriptor)
            inherited = (spec_file.fileno(), records_w, lifeline_r)
            self._process: _Started | Forked | None = None
            if nursery is not None:
                with contextlib.suppress(Gone):
                    self._process = nursery.fork(folder.name, output_w, *inherited)
            if self._process is None:
                self._process = _Started(root, folder.name, environment, output_w, inherited, gateway)
            self._resources = on_error.pop_all()
        os.set_blocking(self._records, False)
        os.set_blocking(self._output, False)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_exception: object) -> None:
        process, self._process = self._process, None
        if process is not None:  # once reaped, its number may be somebody else's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.reap()
            self._code = -signal.SIGKILL if code is None else code
            self.broken = self.broken or ("" if code is not None else "the process that forked it is gone")
        self._resources.close()

    def register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._records, selectors.EVENT_READ, self._read_records)
        selector.register(self._output, selectors.EVENT_READ, self._read_output)

    def has_exited(self) -> bool:
        return self._process is None or self._process.has_exited()

    def end(self, selector: selectors.BaseSelector, *, timed_out: bool = False) -> Exit:
        """What it had written before it ended; a grandchild that still writes gets no further turn. Kills the group."""
        for descriptor in (self._records, self._output):
            if descriptor in selector.get_map():
                selector.get_key(descriptor).data(selector)
            if descriptor in selector.get_map():
                selector.unregister(descriptor)
        self.__exit__()
        return Exit(
            code=self._code,
            timed_out=timed_out,
            broken=self.broken,
            output=self._tail.decode(errors="replace"),
            duration_s=time.monotonic() - self._started,
        )

    def _read_output(self, selector: selectors.BaseSelector) -> None:
        data = _read(selector, self._output)
        self._tail += data[-_TAIL_BYTES:]
        del self._tail[:-_TAIL_BYTES]

    def _read_records(self, selector: selectors.BaseSelector) -> None:
        data = _read(selector, self._records)
        if self.broken:
            return
        try:
            for record in self._reader.feed(data):
                self._watcher.record(record, time.monotonic())
        except ChannelError as err:
            self.broken = str(err)


def _read(selector: selectors.BaseSelector, descriptor: int) -> bytes:
    """What there is; at the end of the stream, nobody waits for more."""
    try:
        data = os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return b""
    if not data:
        selector.unregister(descriptor)
    return data
