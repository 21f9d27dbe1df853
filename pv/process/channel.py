"""Records from a child to its parent: one JSON object a line over an inherited pipe."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

MAX_LINE_BYTES = 2 << 20
"""A 1 MiB attachment in base64 and its frame; a longer line is no record of ours."""
MAX_TOTAL_BYTES = 64 << 20
"""Per child. A child that sends more is killed."""


class ChannelError(ValueError):
    """What arrived is not a record."""


class Writer:
    """The child's end; silent in a process that was forked from the child."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def send(self, kind: str, **fields: Any) -> None:
        if os.getpid() != self._pid:
            return
        line = json.dumps({"kind": kind, **fields}, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


def _no_constant(name: str) -> Any:
    raise ChannelError(f"{name} is not a JSON number")


class Reader:
    """The parent's end: bytes in, records out, bounded."""

    def __init__(self) -> None:
        self._buffer = b""
        self._total_bytes = 0

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Complete records in `data` and what came before it; the good ones before a bad one are given.

        Raises:
            ChannelError: a line is not a JSON object with a kind, or a limit is passed.
        """
        self._total_bytes += len(data)
        if self._total_bytes > MAX_TOTAL_BYTES:
            raise ChannelError(f"more than {MAX_TOTAL_BYTES} bytes of records")
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > MAX_LINE_BYTES:
            raise ChannelError(f"a record longer than {MAX_LINE_BYTES} bytes")
        for line in lines:
            yield _record(line)


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise ChannelError(f"not JSON: {line[:80]!r}") from err
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ChannelError(f"not a record: {line[:80]!r}")
    return record
