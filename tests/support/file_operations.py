"""Every file operation of a process below one folder: named, and one of them interfered with.

The functions that `pv` reaches files through are replaced in `os`, `io` and `fcntl`, in a process that is about to be
thrown away; no preloaded library, no tracing privileges.

An operation is named by what it does to which file and how often that was done before, so that one run after the
other has the same names, whatever order its threads take:

    os.fsync evidence/records/new-7.json.tmp #1            the 8th of the files named by a digest that the run adds
    os.fsync evidence/records for .../new-7.json #1        a folder, on behalf of the file that its thread writes
"""

from __future__ import annotations

import errno
import fcntl
import io
import itertools
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

BY_PATH: Final = ("open", "mkdir", "replace", "rename", "unlink", "stat", "listdir", "scandir")
BY_DESCRIPTOR: Final = ("write", "fsync", "ftruncate", "lseek")

ERRORS: Final = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EDQUOT", "EMFILE", "EFBIG")}

STAYS_BROKEN: Final = {
    "ENOSPC": ("os.write", "os.mkdir", "os.open to write"),
    "EIO": ("os.write", "os.mkdir", "os.open to write", "os.fsync", "os.ftruncate", "os.replace", "os.unlink"),
    "EROFS": ("os.write", "os.mkdir", "os.open to write", "os.ftruncate", "os.replace", "os.unlink"),
}
"""What a disk refuses that is full, damaged, or mounted again for reading only."""

_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
_TEMPORARY: Final = re.compile(r"(?:^|(?<=/))\.([^/]+)\.[0-9a-f]{12}\.tmp$")

Act = Callable[[str, Callable[[], Any]], Any]
"""`act(operation, proceed)` at the chosen operation; `proceed()` is the operation itself."""


class Operations:
    def __init__(self, root: Path, *, at: str = "", act: Act | None = None) -> None:
        """
        Args:
            at: name of the operation at which `act` is called; none if empty.
        """
        self.seen: list[str] = []
        self._root = os.fspath(root)
        self._at = at
        self._act = act
        self._broken: tuple[str, int] | None = None
        self._labels: dict[int, str] = {}
        """Descriptor -> the file that it is open on."""
        there = sorted(path.name for path in root.rglob("*") if _DIGEST.search(path.name))
        self._names = {_DIGEST.findall(name)[0]: f"old-{number}" for number, name in enumerate(there)}
        """Digest -> what stands for it."""
        self._new = itertools.count()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.local()

    def install(self) -> None:
        """Replace the functions, for the rest of this process's life."""
        for name in BY_PATH:
            setattr(os, name, self._by_path(f"os.{name}", getattr(os, name)))
        for name in BY_DESCRIPTOR:
            setattr(os, name, self._by_descriptor(f"os.{name}", getattr(os, name)))
        fcntl.flock = self._by_descriptor("fcntl.flock", fcntl.flock)
        setattr(io, "open", self._by_path("io.open", io.open))  # noqa: B010 - typed as a function of many shapes
        close = os.close

        def closing(fd: int) -> None:
            self._labels.pop(fd, None)
            close(fd)

        os.close = closing

    def _by_path(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            # abspath, because resolving would be a file operation of its own.
            whole = self._root if isinstance(path, int) else os.path.abspath(os.fspath(path))  # noqa: PTH100
            if isinstance(path, int) or not f"{whole}/".startswith(f"{self._root}/"):
                return real(path, *args, **kwargs)
            label = self._label(os.path.relpath(whole, self._root))
            writes = name == "os.open" and bool(args) and args[0] & (os.O_WRONLY | os.O_RDWR)
            result = self._step(f"{name} to write" if writes else name, label, lambda: real(path, *args, **kwargs))
            if name == "os.open":
                self._labels[result] = label
            return result

        return call

    def _by_descriptor(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: Any, *args: Any) -> Any:
            label = self._labels.get(descriptor)
            if label is None:
                return real(descriptor, *args)
            return self._step(name, label, lambda: real(descriptor, *args), lambda: real(descriptor, _half(args[0])))

        return call

    def _label(self, path: str) -> str:
        with self._lock:
            short = _DIGEST.sub(self._name, path)
        short, count = _TEMPORARY.subn(r"\1.tmp", short)
        if short != path or path.endswith(".yaml"):
            self._thread.file = short.removesuffix(".tmp") if count else short
            return short
        if threading.current_thread() is threading.main_thread():
            return short
        # The first operation of a thread on behalf of a file is on that file.
        return f"{short} for {self._thread.file}"

    def _name(self, match: re.Match[str]) -> str:
        if match[0] not in self._names:
            self._names[match[0]] = f"new-{next(self._new)}"
        return self._names[match[0]]

    def _step(self, kind: str, label: str, proceed: Callable[[], Any], half: Callable[[], Any] = lambda: None) -> Any:
        with self._lock:
            self._counts[kind, label] += 1
            name = f"{kind} {label} #{self._counts[kind, label]}"
            self.seen.append(name)
        if name == self._at and self._act is not None:
            if self._act is half_written and kind == "os.write":
                half()
            if isinstance(self._act, Failing) and self._act.stays:
                self._broken = (self._act.name, ERRORS[self._act.name])
            return self._act(name, proceed)
        if self._broken is not None and kind in STAYS_BROKEN[self._broken[0]]:
            raise OSError(self._broken[1], os.strerror(self._broken[1]), name)
        return proceed()


class Failing:
    """The operation fails with this error; where it stays, so does whatever else needs what is broken."""

    def __init__(self, error: str, *, stays: bool = False) -> None:
        self.name = error
        self.stays = stays

    def __call__(self, operation: str, _proceed: Callable[[], Any]) -> Any:
        raise OSError(ERRORS[self.name], os.strerror(ERRORS[self.name]), operation)


def killed(_operation: str, _proceed: Callable[[], Any]) -> Any:
    """The process dies before the operation."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(operation: str, proceed: Callable[[], Any]) -> Any:
    """The process dies when half of the bytes are written; anything but a write is left alone."""
    return killed(operation, proceed) if operation.startswith("os.write") else proceed()


def _half(data: Any) -> bytes:
    return bytes(data)[: len(data) // 2]
