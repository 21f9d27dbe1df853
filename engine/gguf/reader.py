"""Open a GGUF file: header checked whole, weights mapped and never copied.

    offset  bytes  field      type
         0      4  magic      "GGUF"
         4      4  version    u32       2 or 3, little-endian
         8      8  n_tensors  u64
        16      8  n_kv       u64
        24         n_kv metadata entries, n_tensors tensor infos, padding, data

A model may be split over several files, see `engine.gguf.split`; the first one is opened and stands for all.

A message names the file, the rule, the byte and the value:
`<file>: GGUF-<code> at byte <offset>: <field> is <value>; <rule>; <what to do>`.
Codes: F* the file, H* header, K* keys and scalars, S* strings, A* arrays, L* alignment, T* tensors, M* the model.

Source: the GGUF specification in ggml's docs/gguf.md; limits are far above the real models of 2025.
Not here: version 1 (32-bit counts), big-endian files, arrays of arrays.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from engine.gguf import header, split
from engine.gguf.cursor import Cursor
from engine.gguf.display import quote
from engine.gguf.guard import GuardedMap
from engine.gguf.metadata import Entry, Value
from engine.gguf.strings import Strings
from engine.gguf.tensors import TensorInfo, read_tensors
from engine.gguf.types import RUNNABLE_TYPES, GgmlType, ValueType

__all__ = ["GgufFile", "TensorInfo", "Value", "open_gguf"]

_T = TypeVar("_T", bool, int, float, str, Strings, npt.NDArray[Any])

_UNSIGNED = (ValueType.U32, ValueType.U8, ValueType.U16, ValueType.U64)
_FLOATS = (ValueType.F32, ValueType.F64)


def open_gguf(
    path: str | os.PathLike[str], *, strict: bool = False, types: Collection[GgmlType] = RUNNABLE_TYPES
) -> GgufFile:
    """Open and check a GGUF file.

    Args:
        strict: refuse bytes that belong to no tensor; otherwise they are in `GgufFile.warnings`.
        types: tensor types to accept; the default are those that the engine can run.

    Raises:
        GgufError: the file is refused; see the codes of this module.
    """
    first = _open_one(Path(path), strict=strict, types=types)
    try:
        first.join([_open_one(other, strict=strict, types=types, first=False) for other in first.sibling_paths])
    except BaseException:
        first.close()
        raise
    return first


def _open_one(path: Path, *, strict: bool, types: Collection[GgmlType], first: bool = True) -> GgufFile:
    descriptor = _open(path)
    try:
        return GgufFile(path, descriptor, strict=strict, types=types, first=first)
    except BaseException:
        os.close(descriptor)
        raise


def _open(path: Path) -> int:
    name = Cursor(-1, path.name, 0)
    try:
        # O_NONBLOCK: opening a FIFO would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as err:
        reason = err.strerror.lower() if isinstance(err, OSError) and err.strerror else str(err)
        raise name.error("F01", None, f"cannot open the file: {reason}") from err
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise name.error("F01", None, "not a regular file", "give the path of a .gguf file")
    return descriptor


class GgufFile:
    """An open GGUF file, or the first of a set and with it all others.

    Attributes:
        path: as given to `open_gguf`.
        sibling_paths: of the other files of the set.
        paths: of this file and, once it stands for the set, of the others.
        size_bytes: of all files together.
        version: 2 or 3.
        alignment: of tensor data, in bytes.
        metadata: by key, in file order; arrays of strings are `Strings`, other arrays read-only numpy arrays.
        metadata_types: `u32`, `string`, `array of f32`, by key.
        tensors: by name, in file order; offsets are those within the tensor's own file.
        warnings: one line each; bytes that belong to no tensor.
    """

    def __init__(
        self, path: Path, descriptor: int, *, strict: bool, types: Collection[GgmlType], first: bool = True
    ) -> None:
        """Read the header; `open_gguf` is the way to call this.

        Args:
            first: the file has the metadata of a model, as all but the later files of a set do.
        """
        self.path = path
        self.paths: tuple[Path, ...] = (path,)
        self._owners: dict[str, GgufFile] = {}
        self._others: list[GgufFile] = []
        self._descriptor: int | None = descriptor
        self._map: GuardedMap | None = None
        self._stat = os.fstat(descriptor)
        self.size_bytes = self._stat.st_size
        cursor = Cursor(descriptor, path.name, self.size_bytes)
        self._cursor = cursor
        self.version, n_tensors, n_kv = header.read_counts(cursor)
        self._entries = header.read_metadata(cursor, n_kv)
        self.alignment = header.alignment(cursor, self._entries)
        self.sibling_paths = split.siblings(cursor, path, self._entries) if first else ()
        header.check_hyperparameters(cursor, self._entries, named=first)
        tensors, warnings = read_tensors(cursor, n_tensors, self.alignment, types)
        if strict and warnings:
            raise cursor.error("T26", cursor.position, warnings[0], "refused because of strict reading")
        cursor.buffer = b""
        self.metadata: Mapping[str, Value] = MappingProxyType({k: entry.value for k, entry in self._entries.items()})
        self.metadata_types: Mapping[str, str] = MappingProxyType({k: e.label for k, e in self._entries.items()})
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(tensors)
        self.warnings = tuple(warnings)
        with suppress(ValueError):  # it is shorter than a moment ago, which the next line says
            self._map = GuardedMap(descriptor, self.size_bytes)
        self.check_unchanged()

    def join(self, others: list[GgufFile]) -> None:
        """Stand for these files too, which are closed with this one.

        Raises:
            GgufError: GGUF-M13, they are not one set.
        """
        self._others = others
        if not others:
            return
        split.check_set([(file._cursor, file._entries, tuple(file.tensors)) for file in (self, *others)])
        self._owners = {name: file for file in others for name in file.tensors}
        merged = {name: info for file in (self, *others) for name, info in file.tensors.items()}
        self.tensors = MappingProxyType(merged)
        self.paths = tuple(file.path for file in (self, *others))
        self.size_bytes = sum(file.size_bytes for file in (self, *others))
        self.warnings = tuple(warning for file in (self, *others) for warning in file.warnings)

    def data(self, name: str) -> npt.NDArray[np.uint8]:
        """Packed rows of one tensor, mapped, read-only: (*leading dims, row_bytes) uint8.

        The view stays valid after `close`. If the file shrinks meanwhile, what is gone reads as zeros, and
        `check_unchanged` raises from then on; see `engine.gguf.guard`.
        """
        if name in self._owners:
            return self._owners[name].data(name)
        info = self.tensors[name]
        if self._map is None:
            raise self._cursor.error("F01", None, "the file is closed")
        part = self._map.bytes[info.offset : info.offset + info.size_bytes]
        return part.reshape(*info.shape[:-1], info.row_bytes)

    def read(self, name: str, part_bytes: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Packed bytes of one tensor in parts of `part_bytes`, read and not mapped, so that none stays resident.

        Raises:
            GgufError: GGUF-M15, the file became shorter.
        """
        if name in self._owners:
            yield from self._owners[name].read(name, part_bytes)
            return
        if self._descriptor is None:
            raise self._cursor.error("F01", None, "the file is closed")
        info = self.tensors[name]
        end = info.offset + info.size_bytes
        for start in range(info.offset, end, part_bytes):
            size = min(part_bytes, end - start)
            part = os.pread(self._descriptor, size, start)
            if len(part) < size:
                raise self._cursor.error("M15", start, "the file became shorter while it was read; load it again")
            yield np.frombuffer(part, np.uint8)

    def forget(self, key: str) -> None:
        """Drop a metadata value that has been used."""
        self._entries.pop(key, None)
        self.metadata = MappingProxyType({name: value for name, value in self.metadata.items() if name != key})

    @overload
    def get(self, key: str, kind: type[_T]) -> _T: ...

    @overload
    def get(self, key: str, kind: type[_T], *, default: _T | None) -> _T | None: ...

    def get(self, key: str, kind: type[Any], *, default: Any = ...) -> Any:
        """One metadata value of the type that the caller needs.

        Args:
            kind: int (any unsigned type), float (f32, f64), bool, str, Strings (array of strings), or np.ndarray
                (array of numbers).
            default: returned where the key is absent; without one, absence is an error.

        Raises:
            GgufError: GGUF-K13, absent or of another type.
        """
        entry = self._entries.get(key)
        if entry is None:
            if default is not ...:
                return default
            raise self._cursor.error("K13", None, f"metadata key {quote(key)} is missing; expected {_describe(kind)}")
        if not _is_kind(entry, kind):
            raise self._cursor.error(
                "K13", entry.value_offset, f"{quote(key)} is {_show(entry)}; expected {_describe(kind)}"
            )
        return entry.value

    def check_unchanged(self) -> None:
        """Compare size, modification time and inode with those at opening; takes 2 us.

        Raises:
            GgufError: GGUF-M15, the file, or another of its set, was changed or replaced since, or some of it could
                not be read.
        """
        for other in self._others:
            other.check_unchanged()
        try:
            now = self.path.stat()
        except OSError as err:
            raise self._cursor.error("M15", None, "the model file was removed while in use; load it again") from err
        if change := self._change(now):
            raise self._cursor.error("M15", None, f"the model file changed while in use: {change}; load it again")

    def _change(self, now: os.stat_result) -> str:
        before = self._stat
        if (now.st_ino, now.st_dev) != (before.st_ino, before.st_dev):
            return "another file has its name"
        if now.st_size != before.st_size:
            return f"it has {now.st_size} bytes, and had {before.st_size}"
        if now.st_mtime_ns != before.st_mtime_ns:
            return "it was written to"
        return "some of it could not be read" if self._map is not None and self._map.lost else ""

    def close(self) -> None:
        """Close the descriptor; the map goes when the last array from `data` does."""
        for other in self._others:
            other.close()
        self._map = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> GgufFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_kind(entry: Entry, kind: type[Any]) -> bool:
    if kind is int:
        return entry.type in _UNSIGNED
    if kind is float:
        return entry.type in _FLOATS
    if kind is bool:
        return entry.type is ValueType.BOOL
    if kind is str:
        return entry.type is ValueType.STRING
    if kind is Strings:
        return entry.element_type is ValueType.STRING
    if kind is np.ndarray:
        return entry.type is ValueType.ARRAY and entry.element_type is not ValueType.STRING
    raise TypeError(f"metadata kind {kind!r} is none of int, float, bool, str, Strings, np.ndarray")


def _describe(kind: type[Any]) -> str:
    names = {int: "u32", float: "f32", bool: "bool", str: "string", Strings: "array of string"}
    return names.get(kind, "array of numbers")


def _show(entry: Entry) -> str:
    if entry.type is ValueType.ARRAY:
        return f"{entry.label} of length {len(entry.value)}"  # type: ignore[arg-type]
    return f"{entry.label} {quote(entry.value) if isinstance(entry.value, str) else entry.value}"
