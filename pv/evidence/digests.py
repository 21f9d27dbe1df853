"""Digests of large files, remembered: hashing 4.7 GB takes seconds, and a model rarely changes.

    .pv-cache/digests.json    {path: [size, mtime_ns, ctime_ns, inode, device, sha256]}

The file can be deleted at any time. An entry is believed while all five numbers are the same; it is not believed
under `--strict`, nor when evidence is recorded. A file that changed less than two seconds before it was hashed is not
remembered: it could change again within the same tick of the clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pv.atomic import write_atomically
from pv.errors import EvidenceError
from pv.evidence.strict import strict_json

LARGE_BYTES: Final = 8 << 20
"""Smaller files are hashed again: that is as fast as asking."""
_SETTLED_NS: Final = 2_000_000_000


class Digests:
    """sha256 of files, large ones from the cache if it may be trusted."""

    def __init__(self, root: Path, *, strict: bool = False) -> None:
        """
        Args:
            strict: hash every file, and correct the cache.
        """
        self._path = root / ".pv-cache" / "digests.json"
        self._root = root
        self._strict = strict
        self._entries: dict[str, list[Any]] | None = None

    def sha256(self, path: Path) -> str:
        """Hexadecimal digest of the file's bytes.

        Raises:
            OSError: the file cannot be read.
        """
        with path.open("rb") as file:
            identity = _identity(os.fstat(file.fileno()))
            if identity[0] < LARGE_BYTES:
                return hashlib.file_digest(file, "sha256").hexdigest()
            known = self._load().get(self._name(path))
            if not self._strict and known is not None and known[:-1] == identity:
                return str(known[-1])
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if _identity(os.fstat(file.fileno())) == identity and time.time_ns() - identity[1] > _SETTLED_NS:
                self._remember(path, [*identity, digest])
            return digest

    def wrong(self) -> Iterator[tuple[str, str]]:
        """Remembered files whose bytes have another digest now although all numbers are the same; with that digest."""
        for name, known in sorted(self._load().items()):
            with suppress(OSError), (self._root / name).open("rb") as file:
                if _identity(os.fstat(file.fileno())) == known[:-1]:
                    now = hashlib.file_digest(file, "sha256").hexdigest()
                    if now != known[-1]:
                        yield name, now

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self._root)

    def _load(self) -> dict[str, list[Any]]:
        if self._entries is None:
            self._entries = {}
            with suppress(OSError, ValueError):
                value = strict_json(self._path.read_bytes())
                if isinstance(value, dict):
                    self._entries = {name: entry for name, entry in value.items() if _is_entry(entry)}
        return self._entries

    def _remember(self, path: Path, entry: list[Any]) -> None:
        entries = self._load()
        entries[self._name(path)] = entry
        # A cache that cannot be written costs time, nothing else.
        with suppress(EvidenceError):
            write_atomically(self._path, json.dumps(entries, sort_keys=True).encode())


def _identity(stat: os.stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 6
        and all(type(number) is int for number in entry[:5])
        and isinstance(entry[5], str)
        and len(entry[5]) == 64
    )
