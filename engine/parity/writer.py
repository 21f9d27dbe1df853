"""Writing a safetensors file as its rows come: room for the header first, the rows where they belong, the header last.

The header's length is padded with spaces, which the format allows. Until `commit` the file has no name, so that even a
killed process leaves nothing; where the file system has no such files, it has a temporary name.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from math import prod
from pathlib import Path
from types import TracebackType

import numpy as np

from engine.errors import ParityError
from engine.ops.protocol import F32

ENTRY_BYTES = 256
"""Of one tensor in the header, its name of at most 60 characters included."""

_ITEM_BYTES = 4
_OPEN_FILES = "/proc/self/fd"


class TensorWriter:
    """A file being written; `with` it, and `commit` at the end."""

    def __init__(self, path: Path, *, tensors: int, metadata_bytes: int) -> None:
        """Open a temporary file.

        Args:
            tensors: at most so many will be added.
            metadata_bytes: the metadata as JSON will have at most so many.

        Raises:
            ParityError: the folder cannot be written to.
        """
        self._path = path
        room = 2 + tensors * ENTRY_BYTES + metadata_bytes + 32
        self._room = room + -(8 + room) % 64
        self._end = 0
        self._tensors: dict[str, tuple[tuple[int, ...], int]] = {}
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        try:
            self._descriptor, self._is_named = self._open()
        except (OSError, ValueError) as err:
            raise self._cannot(err) from err

    def add(self, name: str, shape: tuple[int, ...]) -> None:
        """Set room aside for a tensor; rows of it that are never written are zeros."""
        assert name not in self._tensors, name
        self._tensors[name] = (shape, self._end)
        self._end += prod(shape) * _ITEM_BYTES

    def write(self, name: str, start: int, rows: F32) -> None:
        """Rows from `start` on of the first axis.

        Raises:
            ParityError: the disk is full, or fails.
        """
        shape, offset = self._tensors[name]
        assert rows.shape[1:] == shape[1:], f"{name}: rows {rows.shape[1:]}, expected {shape[1:]}"
        assert start + len(rows) <= shape[0], f"{name}: rows to {start + len(rows)}, expected {shape[0]} at most"
        at = 8 + self._room + offset + start * prod(shape[1:]) * _ITEM_BYTES
        self._put(np.ascontiguousarray(rows, "<f4").data.cast("B") if rows.size else memoryview(b""), at)

    def commit(self, metadata: Mapping[str, str]) -> None:
        """Write the header, and give the file its name.

        Raises:
            ParityError: the disk is full, or fails.
        """
        header: dict[str, object] = {"__metadata__": dict(metadata)}
        for name, (shape, offset) in self._tensors.items():
            end = offset + prod(shape) * _ITEM_BYTES
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        raw = json.dumps(header, separators=(",", ":")).encode()
        assert len(raw) <= self._room, f"the header has {len(raw)} bytes, {self._room} were set aside"
        self._put(memoryview(self._room.to_bytes(8, "little") + raw.ljust(self._room)), 0)
        try:
            os.ftruncate(self._descriptor, 8 + self._room + self._end)
            os.fsync(self._descriptor)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if not self._is_named:
                    # with a folder it is linkat(2), which follows the link to the open file; link(2) does not
                    os.link(f"{_OPEN_FILES}/{self._descriptor}", self._temporary, src_dir_fd=folder)
                self._temporary.replace(self._path)
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as err:
            raise self._cannot(err) from err

    def close(self) -> None:
        """Forget what was not committed."""
        os.close(self._descriptor)
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> TensorWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> tuple[int, bool]:
        """A descriptor, and whether the file has the temporary name."""
        if Path(_OPEN_FILES).is_dir():
            with suppress(OSError):
                return os.open(self._path.parent, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o644), False
        return os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), True

    def _put(self, data: memoryview, at: int) -> None:
        try:
            while data:
                written = os.pwrite(self._descriptor, data, at)
                data, at = data[written:], at + written
        except OSError as err:
            raise self._cannot(err) from err

    def _cannot(self, err: Exception) -> ParityError:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        return ParityError(f"{self._path.name!r} cannot be written: {reason.lower()}; nothing was changed")
