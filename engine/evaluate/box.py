"""A process under limits, without network and files, to run code that nobody has read.

What ends a box: its job, `close`, a limit, or the end of this process. Nothing that ran in it is left afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from engine.errors import BoxError
from engine.evaluate.values import PlainValueError

_PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = "import sys; sys.path.insert(0, {root!r}); from engine.evaluate.child import main; main()"
_SYSTEM_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
# A box is ready in about 0.1 s; a busy machine may take longer, and that is not the completion's fault.
_START_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """What one completion may use."""

    cpu_s: int = 10
    """Of each process."""
    wall_s: float = 15.0
    memory_bytes: int = 1 << 30
    """Address space of each process, and resident memory of all together."""
    processes: int = 32
    file_bytes: int = 16 << 20
    open_files: int = 64
    output_bytes: int = 1 << 20
    """Of what it prints, and of all it returns."""

    def as_rlimits(self) -> dict[str, int]:
        """Names of `resource` and their values."""
        return {
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


class LimitError(Exception):
    """A box went over a limit; the message is one word."""


@dataclass(slots=True)
class Box:
    """One child process; a context manager."""

    limits: Limits = field(default_factory=Limits)
    isolated: bool = True
    hidden: Sequence[str] = ()
    """Folders that must not be seen even where they are below a library."""
    _process: subprocess.Popen[bytes] = field(init=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False)
    _buffer: bytes = b""
    _taken: int = 0
    _printed: int = 0

    def __enter__(self) -> Box:
        """Start, and wait until the box is closed around the child.

        Raises:
            BoxError: this system does not give the isolation.
        """
        if not self.isolated and os.geteuid() == 0:
            raise BoxError("without isolation, limits on processes do not hold for root; run as another user")
        self._folder = tempfile.TemporaryDirectory(prefix="q4k-eval-")
        home = "/tmp" if self.isolated else self._folder.name  # noqa: S108
        library = sysconfig.get_path("stdlib")
        visible = [path for path in dict.fromkeys((*_SYSTEM_LIBRARIES, library)) if Path(path).is_dir()]
        packages = (f"{library}/site-packages", f"{library}/dist-packages")
        installed = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(_PACKAGE_ROOT))
        hidden = dict.fromkeys((*packages, *installed, *self.hidden))
        setup = {
            "package_root": str(_PACKAGE_ROOT),
            "isolated": self.isolated,
            "limits": self.limits.as_rlimits(),
            "visible": visible,
            "hidden": [path for path in hidden if any(_is_below(path, folder) for folder in visible)],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START.format(root=str(_PACKAGE_ROOT)), json.dumps(setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder.name,
            env={"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
        )
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def _wait_until_ready(self) -> None:
        try:
            first = self.receive(time.monotonic() + _START_LIMIT_S)
        except (LimitError, PlainValueError) as err:
            raise BoxError(f"box for generated code did not start: {err}") from err
        if first is None or "ready" not in first:
            reason = (first or {}).get("refused") or f"its process ended with code {self.code()}"
            raise BoxError(f"no isolation for generated code here: {reason}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything in the box."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        self._folder.cleanup()

    def visible_processes(self) -> int:
        """How many processes of the box this process sees, and with them the memory that they use."""
        return len(_tree(self._process.pid))

    def code(self) -> int | None:
        """Exit code once the process has ended: 128 + n for signal n inside the box."""
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            return None

    def send(self, message: Mapping[str, Any], deadline: float) -> None:
        """One line in. A box that is gone takes it too: `receive` then says so.

        Raises:
            LimitError: not taken before the deadline of `time.monotonic`.
        """
        assert self._process.stdin is not None
        data = memoryview(json.dumps(message).encode() + b"\n")
        descriptor = self._process.stdin.fileno()
        while data:
            self._watch(deadline)
            _, writable, _ = select.select([], [descriptor], [], _POLL_S)
            try:
                data = data[os.write(descriptor, data) :] if writable else data
            except BrokenPipeError:
                return

    def receive(self, deadline: float) -> dict[str, Any] | None:
        """One line out; None once the box has ended.

        Raises:
            LimitError: no line before the deadline, or too much of something.
            PlainValueError: the line is not what a box says.
        """
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        streams = [self._process.stdout.fileno(), self._process.stderr.fileno()]
        while b"\n" not in self._buffer:
            self._watch(deadline)
            readable, _, _ = select.select(streams, [], [], _POLL_S)
            for descriptor in readable:
                piece = os.read(descriptor, 1 << 16)
                if descriptor == streams[0]:
                    self._buffer += piece
                    self._taken += len(piece)
                    if not piece:
                        return None
                else:
                    self._printed += len(piece)
                    if not piece:
                        streams.remove(descriptor)
            if max(self._taken, self._printed) > self.limits.output_bytes:
                raise LimitError("output")
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as err:
            raise PlainValueError("malformed line") from err
        if not isinstance(message, dict):
            raise PlainValueError("malformed line")
        return message

    def _watch(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise LimitError("timeout")
        if _resident_bytes(self._process.pid) > self.limits.memory_bytes:
            raise LimitError("memory")


def _is_below(path: str, folder: str) -> bool:
    return path != folder and Path(path).is_relative_to(folder)


def _tree(root: int) -> list[int]:
    """Ids of a process and everything below it; those that have ended meanwhile may be missing."""
    processes = [root]
    for process in processes:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                processes.extend(map(int, (task / "children").read_text().split()))
    return processes


def _resident_bytes(root: int) -> int:
    """Memory of a process and everything below it, without what is shared with files."""
    pages = 0
    for process in _tree(root):
        with contextlib.suppress(OSError, ValueError):
            _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
            pages += int(resident) - int(shared)
    return pages * os.sysconf("SC_PAGE_SIZE")
