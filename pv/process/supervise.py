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
import subprocess
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
from pv.process.environment import scrubbed

_BOOT = Path(__file__).with_name("boot.py")
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
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Exit:  # fmt: skip
    """Run one child to its end.

    Args:
        root: working directory of the child.
        spec: for `boot.py`: "plugin" (a module with `create`), "args" (for pytest), and what the plugin reads.
        environment: variables beyond the allowed ones.
    Raises:
        RunError: the child cannot be started.
        Stopped: `stop` was set; the child is dead.
    """
    with tempfile.TemporaryDirectory(prefix="pv-", ignore_cleanup_errors=True) as temporary:
        return _Child(root, {**spec, "root": str(root)}, watcher, stop, scrubbed(temporary, environment)).run()


class _Child:
    def __init__(
        self, root: Path, spec: dict[str, Any], watcher: Watcher, stop: threading.Event | None, env: dict[str, str]
    ) -> None:
        self._watcher = watcher
        self._stop = stop
        self._reader = Reader()
        self._tail = bytearray()
        self._broken = ""
        self._started = time.monotonic()
        with contextlib.ExitStack() as stack:
            spec_file = stack.enter_context(tempfile.TemporaryFile())
            spec_file.write(json.dumps(spec).encode())
            spec_file.seek(0)
            self._records, records_w = os.pipe()
            self._output, output_w = os.pipe()
            lifeline_r, self._lifeline = os.pipe()
            for descriptor in (records_w, output_w, lifeline_r):
                stack.callback(os.close, descriptor)
            inherited = (spec_file.fileno(), records_w, lifeline_r)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(_BOOT), *map(str, inherited)],
                    cwd=root, env=env, pass_fds=inherited, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=output_w, stderr=output_w,
                )  # fmt: skip
            except (OSError, ValueError) as err:
                self._close()
                raise RunError(f"{sys.executable}: cannot start a test process: {err}") from err
        os.set_blocking(self._records, False)
        os.set_blocking(self._output, False)

    def run(self) -> Exit:
        timed_out = False
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._records, selectors.EVENT_READ)
                selector.register(self._output, selectors.EVENT_READ)
                while not self._has_exited():
                    if self._stop is not None and self._stop.is_set():
                        raise Stopped
                    now = time.monotonic()
                    if now >= self._watcher.deadline:
                        timed_out = True
                        break
                    if self._broken:
                        break
                    if not selector.get_map():
                        time.sleep(_POLL_S)
                    for key, _ in selector.select(min(_POLL_S, self._watcher.deadline - now)):
                        if not self._read(key.fd):
                            selector.unregister(key.fd)
                # What the child had written before it ended; a grandchild that still writes gets no further turn.
                for descriptor in (self._records, self._output):
                    if descriptor in selector.get_map():
                        self._read(descriptor)
        finally:
            self._kill()
            self._close()
        return Exit(
            code=self._process.returncode,
            timed_out=timed_out,
            broken=self._broken,
            output=self._tail.decode(errors="replace"),
            duration_s=time.monotonic() - self._started,
        )

    def _has_exited(self) -> bool:
        # Not reaped yet, so that the process group's number cannot be taken by somebody else before it is killed.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _read(self, descriptor: int) -> bool:
        """Whether more may come."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        if descriptor == self._output:
            self._tail += data[-_TAIL_BYTES:]
            del self._tail[:-_TAIL_BYTES]
        elif not self._broken:
            try:
                for record in self._reader.feed(data):
                    self._watcher.record(record, time.monotonic())
            except ChannelError as err:
                self._broken = str(err)
        return True

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _close(self) -> None:
        for descriptor in (self._records, self._output, self._lifeline):
            os.close(descriptor)
