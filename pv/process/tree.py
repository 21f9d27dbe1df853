"""One digest for everything in a project's folder that code could look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_WRITTEN_BY_TOOLS: Final = frozenset({".git", ".hypothesis", ".nox", ".pv-cache", ".tox", "__pycache__"})
_MAX_FILES: Final = 100_000
_LARGE_BYTES: Final = 1 << 20


def tree_digest(root: Path) -> str | None:
    """sha256 over the names and contents of all files below `root`; None if there are too many, or one is unreadable.

    Folders that tools write for themselves, and virtual environments, are left out. Of a file larger than 1 MiB, size,
    times and inode stand for the content.
    """
    digest = hashlib.sha256()
    try:
        for number, path in enumerate(_files(str(root))):
            if number == _MAX_FILES:
                return None
            digest.update(f"\0{path}\0".encode("utf-8", "surrogateescape") + _content(path))
    except OSError:
        return None
    return digest.hexdigest()


def _files(folder: str) -> Iterator[str]:
    """Everything but folders, in one order."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            yield entry.path
        elif entry.name not in _WRITTEN_BY_TOOLS and not (entry.name[0] == "." and entry.name.endswith("_cache")):
            yield from _files(entry.path)


def _content(path: str) -> bytes:
    """At most 1 MiB of it, or its numbers; never waits for a pipe or a device."""
    try:
        status = os.stat(path)  # noqa: PTH116 - this loop is most of a second for ten thousand files
    except FileNotFoundError:
        return b"a link that leads nowhere"
    numbers = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    if not os.path.isfile(path) or status.st_size > _LARGE_BYTES:  # noqa: PTH113
        return repr(numbers).encode()
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.sha256(file.read()).digest()
