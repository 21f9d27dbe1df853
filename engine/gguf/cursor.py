"""Reading a header whose every length may lie: first the bound by the file, then the cap, then the bytes.

Bytes are copied from an open descriptor into owned memory; a file that shrinks meanwhile is an error, not a SIGBUS.
All arithmetic is on Python integers, so that no product or sum can wrap.
"""

from __future__ import annotations

import os
import struct

from engine.errors import GgufError
from engine.gguf.display import escape

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

_FIRST_READ_BYTES = 64 * 1024
HEADER_CAP_BYTES = 512 * 1024 * 1024
"""Metadata and tensor infos together; the largest real ones have some 20 MB."""


class Cursor:
    """A position in the header of one open file."""

    def __init__(self, descriptor: int, file_name: str, size_bytes: int) -> None:
        self._descriptor = descriptor
        self._file_name = escape(file_name)
        self.size_bytes = size_bytes
        self.position = 0
        self.buffer = b""
        """The file from byte 0 to what was needed so far."""

    @property
    def remaining(self) -> int:
        """Bytes from the position to the end of the file."""
        return self.size_bytes - self.position

    def error(
        self, code: str, offset: int | None, problem: str, advice: str = "", *, inconclusive: bool = False
    ) -> GgufError:
        """A refusal; `problem` reads `<field> is <value>; <rule>`."""
        where = "" if offset is None else f" at byte {offset}"
        verdict = "inconclusive: " if inconclusive else ""
        hint = f"; {advice}" if advice else ""
        message = f"{self._file_name}: GGUF-{code}{where}: {verdict}{problem}{hint}"
        return GgufError(message, code=f"GGUF-{code}", offset=offset, inconclusive=inconclusive)

    def need(self, count: int, code: str, what: str) -> None:
        """Make `count` bytes from the position available in `buffer`.

        Raises:
            GgufError: `code`, if the file ends before; GGUF-H16, if the header grows beyond its cap; GGUF-M15, if the
                file became shorter since it was opened.
        """
        if count > self.remaining:
            raise self.error(
                code,
                self.position,
                f"{what} needs {count} bytes; the file ends {self.remaining} bytes further",
                "is the download complete?",
            )
        end = self.position + count
        if end <= len(self.buffer):
            return
        if end > HEADER_CAP_BYTES:
            raise self.error(
                "H16",
                self.position,
                f"the header is longer than {HEADER_CAP_BYTES} bytes; this reader stops there",
                inconclusive=True,
            )
        goal = min(max(end, 2 * len(self.buffer), _FIRST_READ_BYTES), self.size_bytes, HEADER_CAP_BYTES)
        parts = [self.buffer]
        have = len(self.buffer)
        while have < goal:
            part = os.pread(self._descriptor, goal - have, have)
            if not part:
                raise self.error("M15", have, "the file became shorter while it was read; load it again")
            parts.append(part)
            have += len(part)
        self.buffer = b"".join(parts)

    def take(self, count: int, code: str, what: str) -> bytes:
        """The next `count` bytes."""
        self.need(count, code, what)
        start = self.position
        self.position += count
        return self.buffer[start : start + count]

    def u32(self, code: str, what: str) -> int:
        """The next 4 bytes, little-endian and unsigned."""
        return int(_U32.unpack(self.take(4, code, what))[0])

    def u64(self, code: str, what: str) -> int:
        """The next 8 bytes, little-endian and unsigned."""
        return int(_U64.unpack(self.take(8, code, what))[0])
