"""Reading safetensors files of float32 tensors, in a bounded way; nothing of a file is believed before it is checked.

    offset       bytes  field   meaning
         0           8  length  of the header, unsigned, little-endian
         8      length  header  JSON: {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets"}}
    8 + length          data    tensors in row-major order; data_offsets [begin, end) count from here, without gaps

Source: the format page of the safetensors project.
Not here: other types than F32; writing (`engine.parity.writer`).
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from engine.errors import ParityError
from engine.gguf.display import escape, quote
from engine.ops.protocol import F32

HEADER_CAP_BYTES = 64 * 1024 * 1024
"""A trace of 100 layers has a header of some 300 kB."""

_METADATA = "__metadata__"
_ITEM_BYTES = 4


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one tensor lies."""

    shape: tuple[int, ...]
    offset: int
    """From the start of the file, in bytes."""

    @property
    def row_bytes(self) -> int:
        """Of one entry of the first axis."""
        return prod(self.shape[1:]) * _ITEM_BYTES


class TensorFile:
    """An open file; its header is checked, tensors are read a few rows at a time."""

    def __init__(self, path: Path) -> None:
        """Open a file and check its header.

        Raises:
            ParityError: it cannot be opened, or is not a sound safetensors file of float32 tensors.
        """
        self.name = escape(path.name)
        try:
            # a pipe would block until somebody writes to it
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as err:
            reason = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
            raise ParityError(f"{self.name}: cannot open the file: {reason.lower()}") from err
        try:
            self.metadata, self.tensors = self._header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, name: str, start: int, stop: int) -> F32:
        """Entries start..stop-1 of the first axis of a tensor.

        Raises:
            ParityError: the file became shorter, or a value is not finite.
        """
        tensor = self.tensors[name]
        assert 0 <= start <= stop <= tensor.shape[0]
        raw = self._read(tensor.offset + start * tensor.row_bytes, (stop - start) * tensor.row_bytes)
        found = np.frombuffer(raw, "<f4").reshape(stop - start, *tensor.shape[1:])
        if not np.isfinite(found).all():
            row, *place = (int(index[0]) for index in np.nonzero(~np.isfinite(found)))
            value = found[(row, *place)]
            self.refuse(
                f"tensor {quote(name)} holds {value} at {(start + row, *place)}; such a side cannot be compared"
            )
        return found

    def refuse(self, problem: str) -> NoReturn:
        """Raises:
        ParityError: with the name of the file.
        """
        raise ParityError(f"{self.name}: {problem}")

    def _read(self, offset: int, count: int) -> bytes:
        parts = []
        while count:
            part = os.pread(self._descriptor, min(count, 1 << 30), offset)
            if not part:
                self.refuse("the file became shorter while it was read")
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return b"".join(parts)

    def _header(self) -> tuple[Mapping[str, str], Mapping[str, Tensor]]:
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.refuse("not a regular file")
        size = status.st_size
        if size < 8:
            self.refuse(f"not a safetensors file: {size} bytes, its header's length alone takes 8")
        length = int.from_bytes(self._read(0, 8), "little")
        if length > size - 8:
            self.refuse(
                f"not a safetensors file, or cut: its header has {length} bytes, {size - 8} follow; "
                "give a file that q4k wrote with --save"
            )
        if length > HEADER_CAP_BYTES:
            self.refuse(f"its header has {length} bytes; this reader stops at {HEADER_CAP_BYTES}")
        header = self._parsed(self._read(8, length))
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            self.refuse(f"{_METADATA} is not an object of texts")
        return metadata, self._places(header, 8 + length, size)

    def _parsed(self, raw: bytes) -> dict[str, Any]:
        if not raw.startswith(b"{"):
            self.refuse("not a safetensors file: its header does not start with {")
        try:
            found = json.loads(raw.decode("utf-8"), object_pairs_hook=self._unique, parse_constant=self._constant)
        except (ValueError, RecursionError) as err:
            what = "nested too deep" if isinstance(err, RecursionError) else str(err)
            self.refuse(f"its header is not JSON: {escape(what)}")
        assert isinstance(found, dict), "a text that starts with { is an object"
        return found

    def _unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
            self.refuse(f"its header names {quote(twice)} twice")
        return found

    def _constant(self, text: str) -> NoReturn:
        self.refuse(f"its header holds {text}, which JSON does not have")

    def _places(self, header: Mapping[str, Any], start: int, size: int) -> dict[str, Tensor]:
        spans: list[tuple[int, int, str]] = []
        found = {}
        for name, entry in header.items():
            shape, (begin, end) = self._entry(name, entry)
            if end - begin != (need := prod(shape) * _ITEM_BYTES):
                shown = "x".join(map(str, shape)) or "a scalar"
                self.refuse(f"tensor {quote(name)}: {end - begin} bytes for {shown} float32, expected {need}")
            spans.append((begin, end, name))
            found[name] = Tensor(shape, start + begin)
        at = 0
        for begin, end, name in sorted(spans):
            if begin != at:
                self.refuse(
                    f"tensor {quote(name)} begins at byte {begin} of the data, expected {at}: no gap, no overlap"
                )
            at = end
        if start + at != size:
            self.refuse(f"its tensors need {at} bytes of data, the file has {size - start}; is it complete?")
        return found

    def _entry(self, name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            self.refuse(f"tensor {quote(name)}: expected dtype, shape and data_offsets")
        if entry["dtype"] != "F32":
            self.refuse(f"tensor {quote(name)}: dtype {quote(str(entry['dtype']))} is not supported; supported: F32")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not (_are_counts(shape) and 1 <= len(shape) <= 8):
            self.refuse(f"tensor {quote(name)}: shape must be 1 to 8 counts")
        if not (_are_counts(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1]):
            self.refuse(f"tensor {quote(name)}: data_offsets must be two rising counts")
        return tuple(shape), (offsets[0], offsets[1])


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
