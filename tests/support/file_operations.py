"""Every file operation of a process below one folder: counted, and one of them interfered with.

The functions that `pv` reaches files through are replaced in `os`, `io` and `fcntl`, in a process that is about to be
thrown away; no preloaded library, no tracing privileges.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

BY_PATH = ("open", "mkdir", "replace", "rename", "unlink", "stat", "listdir", "scandir")
BY_DESCRIPTOR = ("write", "fsync", "ftruncate", "lseek")

Act = Callable[[str, Callable[[], Any]], Any]
"""`act(operation, proceed)` at the chosen operation; `proceed()` is the operation itself."""


class Operations:
    def __init__(self, root: Path, *, at: int = -1, act: Act | None = None) -> None:
        """
        Args:
            at: number of the operation, from 0, at which `act` is called; none if negative.
        """
        self.seen: list[str] = []
        self._root = os.fspath(root)
        self._at = at
        self._act = act
        self._descriptors: set[int] = set()

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
            self._descriptors.discard(fd)
            close(fd)

        os.close = closing

    def _by_path(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            # abspath, because resolving would be a file operation of its own.
            if isinstance(path, int) or not os.path.abspath(os.fspath(path)).startswith(self._root):  # noqa: PTH100
                return real(path, *args, **kwargs)
            result = self._step(name, lambda: real(path, *args, **kwargs), os.fspath(path))
            if name == "os.open":
                self._descriptors.add(result)
            return result

        return call

    def _by_descriptor(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: Any, *args: Any) -> Any:
            if descriptor not in self._descriptors:
                return real(descriptor, *args)
            if name == "os.write" and self._act is half_written and len(self.seen) == self._at:
                real(descriptor, bytes(args[0])[: len(args[0]) // 2])
            return self._step(name, lambda: real(descriptor, *args))

        return call

    def _step(self, name: str, proceed: Callable[[], Any], path: str = "") -> Any:
        number = len(self.seen)
        self.seen.append(f"{name} {os.path.relpath(path, self._root)}" if path else name)
        if number == self._at and self._act is not None:
            return self._act(name, proceed)
        return proceed()


def killed(_operation: str, _proceed: Callable[[], Any]) -> Any:
    """The process dies before the operation."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(operation: str, proceed: Callable[[], Any]) -> Any:
    """The process dies when half of the bytes are written; anything but a write is left alone."""
    return killed(operation, proceed) if operation == "os.write" else proceed()


def failing(code: int) -> Act:
    """The operation fails with this errno."""

    def act(operation: str, _proceed: Callable[[], Any]) -> Any:
        raise OSError(code, os.strerror(code), operation)

    return act


ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EDQUOT", "EMFILE", "EFBIG")}
