"""Tensor infos of a GGUF header, and the layout of the data they describe.

    name     u64 length, bytes          printable ASCII, 1..64 bytes, no path separators
    n_dims   u32                        1..4
    dims     u64 each                   the row length comes first; `TensorInfo.shape` reverses them
    type     u32                        engine.gguf.types.GgmlType
    offset   u64                        from the start of the data section, a multiple of the alignment

The data section starts at the next multiple of the alignment after the infos; each tensor starts where the one
before it ends, rounded up to the alignment. ggml's reader takes no other order, so neither does this one.

Codes: T*. All sizes are Python integers: no product or sum wraps.
Source: the GGUF specification in ggml's docs/gguf.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from engine.errors import GgufError
from engine.gguf.cursor import Cursor
from engine.gguf.display import quote
from engine.gguf.metadata import read_entry
from engine.gguf.types import REMOVED_TYPES, GgmlType, layout

NAME_CAP_BYTES = 64
MAX_DIMS = 4


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies."""

    name: str
    type: GgmlType
    shape: tuple[int, ...]
    """In numpy order, in weights: (rows, cols)."""
    offset: int
    """Byte of the file at which the data starts."""
    size_bytes: int

    @property
    def row_bytes(self) -> int:
        """Packed size of one row, the last axis."""
        block_size, type_size = layout(self.type)
        return self.shape[-1] // block_size * type_size


@dataclass(frozen=True)
class _Info:
    """As `TensorInfo`, with the offset still relative, and the places of its fields for messages."""

    name: str
    type: GgmlType
    shape: tuple[int, ...]
    relative: int
    size_bytes: int
    dims_at: int
    offset_at: int


def read_tensors(
    cursor: Cursor, count: int, alignment: int, types: Collection[GgmlType]
) -> tuple[dict[str, TensorInfo], list[str]]:
    """Read `count` infos at the cursor and check the layout of their data.

    Returns:
        The tensors by name in file order, and warnings about bytes that belong to no tensor.

    Raises:
        GgufError: any rule of tensor infos; H12 or H15 where a wrong count in the header explains it better.
    """
    infos: dict[str, _Info] = {}
    start = cursor.position
    for index in range(count):
        info_at = cursor.position
        try:
            info = _read_info(cursor, index, types)
        except GgufError as err:
            better = _wrong_metadata_count(cursor, start, types) if index == 0 else None
            better = better or _wrong_tensor_count(cursor, list(infos.values()), info_at, count, alignment)
            raise (better or err) from None
        if info.name in infos:
            raise cursor.error("T05", info_at, f"tensor {quote(info.name)} appears twice; names must be unique")
        infos[info.name] = info
    return _lay_out(cursor, list(infos.values()), alignment)


def _read_info(cursor: Cursor, index: int, types: Collection[GgmlType]) -> _Info:
    name = _read_name(cursor, index)
    shown = quote(name)
    dims_at = cursor.position
    n_dims = cursor.u32("H12", f"n_dims of tensor {shown}")
    if not 1 <= n_dims <= MAX_DIMS:
        raise cursor.error("T06", dims_at, f"n_dims of tensor {shown} is {n_dims}; must be 1..{MAX_DIMS}")
    dims = [cursor.u64("H12", f"dimension {axis} of tensor {shown}") for axis in range(n_dims)]
    for axis, dim in enumerate(dims):
        at = dims_at + 4 + 8 * axis
        if dim == 0:
            raise cursor.error("T09", at, f"dimension {axis} of tensor {shown} is 0; must be at least 1")
        if dim >= 1 << 63:
            raise cursor.error("T10", at, f"dimension {axis} of tensor {shown} is {dim}; out of range, must be < 2^63")
    type_ = _read_type(cursor, shown, types)
    block_size, type_size = layout(type_)
    if dims[0] % block_size:
        raise cursor.error(
            "T19",
            dims_at + 4,
            f"row length of tensor {shown} is {dims[0]}; {type_.name} needs a multiple of {block_size}",
        )
    size_bytes = math.prod(dims) // block_size * type_size
    if size_bytes > cursor.size_bytes:
        raise cursor.error(
            "T11",
            dims_at + 4,
            f"tensor {shown} needs {size_bytes} bytes; the file has {cursor.size_bytes}",
            "is the download complete?",
        )
    offset_at = cursor.position
    relative = cursor.u64("H12", f"offset of tensor {shown}")
    return _Info(name, type_, tuple(reversed(dims)), relative, size_bytes, dims_at, offset_at)


def _read_name(cursor: Cursor, index: int) -> str:
    at = cursor.position
    length = cursor.u64("H12", f"name length of tensor {index}")
    if length > cursor.remaining:
        raise cursor.error(
            "T01", at, f"name length of tensor {index} is {length}; the file has {cursor.remaining} bytes left"
        )
    if length == 0:
        raise cursor.error("T02", at, f"name length of tensor {index} is 0; a tensor must have a name")
    if length > NAME_CAP_BYTES:
        raise cursor.error(
            "T03", at, f"name length of tensor {index} is {length}; a name has at most {NAME_CAP_BYTES} bytes"
        )
    raw = cursor.take(length, "T01", f"name of tensor {index}")
    for place, byte in enumerate(raw):
        if not 0x20 < byte < 0x7F or byte in b"/\\":
            raise cursor.error(
                "T04", at + 8 + place, f"name of tensor {index} has forbidden byte 0x{byte:02x}; printable ASCII, no /"
            )
    name = raw.decode("ascii")
    if ".." in name:
        raise cursor.error(
            "T04", at + 8 + name.index(".."), f"name of tensor {index} is {quote(name)}; '..' is forbidden"
        )
    return name


def _read_type(cursor: Cursor, shown: str, types: Collection[GgmlType]) -> GgmlType:
    at = cursor.position
    number = cursor.u32("H12", f"type of tensor {shown}")
    if number in REMOVED_TYPES:
        raise cursor.error(
            "T17",
            at,
            f"type of tensor {shown} is {number}; type {number} ({REMOVED_TYPES[number]}) was removed from GGUF",
        )
    try:
        type_ = GgmlType(number)
    except ValueError:
        raise cursor.error("T16", at, f"type of tensor {shown} is {number}; an unknown tensor type") from None
    if type_ not in types:
        have = ", ".join(sorted(known.name for known in types))
        raise cursor.error(
            "T18",
            at,
            f"type of tensor {shown} is {type_.name}; GGUF knows it, this engine does not run it",
            f"supported are {have}",
        )
    return type_


def _align(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _wrong_metadata_count(cursor: Cursor, start: int, types: Collection[GgmlType]) -> GgufError | None:
    """H15, if a metadata entry stands in place of the first tensor info, and a tensor info follows it."""
    cursor.position = start
    try:
        entry = read_entry(cursor)
        _read_info(cursor, 0, types)
    except GgufError:
        return None
    return cursor.error(
        "H15",
        start,
        f"tensor info 0 is preceded by the metadata entry {quote(entry.key)}; n_kv in the header is too small",
    )


def _wrong_tensor_count(cursor: Cursor, infos: list[_Info], end: int, count: int, alignment: int) -> GgufError | None:
    """H12, if the infos read so far describe exactly the rest of the file."""
    if not infos:
        return None
    data_start = _align(end, alignment)
    data_end = data_start + infos[-1].relative + infos[-1].size_bytes
    if cursor.size_bytes not in (data_end, _align(data_end, alignment)):
        return None
    return cursor.error(
        "H12", end, f"n_tensors is {count}; the file has {len(infos)} tensor infos and their data, then it ends"
    )


def _lay_out(cursor: Cursor, infos: list[_Info], alignment: int) -> tuple[dict[str, TensorInfo], list[str]]:
    """Absolute offsets; the data of each tensor must lie behind that of the one before and inside the file."""
    data_start = _align(cursor.position, alignment)
    data_bytes = max(0, cursor.size_bytes - data_start)
    data_end = max((info.relative + info.size_bytes for info in infos), default=0)
    tensors: dict[str, TensorInfo] = {}
    warnings: list[str] = []
    expected = end = 0
    before: _Info | None = None
    for info in infos:
        shown = quote(info.name)
        if info.relative % alignment:
            raise cursor.error(
                "T20",
                info.offset_at,
                f"offset of tensor {shown} is {info.relative}; unaligned, must divide by {alignment}",
            )
        if before is not None and info.relative + info.size_bytes <= before.relative:
            raise cursor.error(
                "T25",
                info.offset_at,
                f"offset of tensor {shown} is {info.relative}; out of order, it must be at or behind byte {end}, "
                f"where {quote(before.name)} ends",
                "write the tensors in the order of their infos",
            )
        if before is not None and info.relative < end:
            overlaps_exactly = info.relative == before.relative
            raise cursor.error(
                "T24" if overlaps_exactly else "T25",
                info.offset_at,
                f"offset of tensor {shown} is {info.relative}; it overlaps or precedes {quote(before.name)}, "
                f"which has bytes {before.relative}..{end - 1}",
            )
        if info.relative > expected and info.relative >= data_bytes:
            raise cursor.error(
                "T22",
                info.offset_at,
                f"offset of tensor {shown} is {info.relative}; past the end of the {data_bytes} bytes of data",
            )
        if info.relative > expected:
            warnings.append(f"{info.relative - expected} bytes before tensor {shown} belong to no tensor")
        end = info.relative + info.size_bytes
        if end > data_bytes:
            raise cursor.error(
                "T23",
                info.offset_at,
                f"data of tensor {shown} ends at byte {data_start + end}; "
                f"the file is {data_start + data_end - cursor.size_bytes} bytes short",
                "likely an incomplete download",
            )
        expected = _align(end, alignment)
        tensors[info.name] = TensorInfo(info.name, info.type, info.shape, data_start + info.relative, info.size_bytes)
        before = info
    trailing = cursor.size_bytes - data_start - expected
    if infos and trailing > 0:
        warnings.append(f"{trailing} bytes after the last tensor belong to no tensor")
    if not infos and cursor.size_bytes > data_start:
        warnings.append(f"{cursor.size_bytes - data_start} bytes after the header belong to no tensor")
    return tensors, warnings
