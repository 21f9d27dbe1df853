"""The fixed header, the metadata section, and the keys whose values every reader must trust."""

from __future__ import annotations

import math

import numpy as np

from engine.gguf import magic
from engine.gguf.cursor import Cursor
from engine.gguf.display import quote
from engine.gguf.metadata import Entry, Value, read_entry
from engine.gguf.types import ValueType

HEADER_BYTES = 24
VERSIONS = (2, 3)
KV_CAP = 65_536
TENSOR_CAP = 1_000_000
_SMALLEST_ENTRY = 8 + 1 + 4 + 1  # key length, one letter, type, one byte
_SMALLEST_INFO = 8 + 1 + 4 + 8 + 4 + 8  # name length, one letter, n_dims, one dimension, type, offset
_DEFAULT_ALIGNMENT = 32
_MIN_ALIGNMENT, _MAX_ALIGNMENT = 8, 65_536
_POSITIVE = (".rope.freq_base", ".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon")


def read_counts(cursor: Cursor) -> tuple[int, int, int]:
    """Version, number of tensors, number of metadata entries.

    Raises:
        GgufError: H01..H10, H13.
    """
    size = cursor.size_bytes
    if size == 0:
        raise cursor.error("H01", 0, f"the file is 0 bytes; a GGUF header needs {HEADER_BYTES}")
    cursor.need(min(size, 512), "H02", "the header")
    head = cursor.buffer[:512]
    if head[:4] != magic.GGUF[: len(head)]:
        what, advice = magic.describe(head, size)
        code = "H04" if what.startswith(("an unknown", "a GGUF")) else "H05"
        raise cursor.error(code, 0, f"not a GGUF file; it is {what}", advice)
    if size < HEADER_BYTES:
        raise cursor.error(
            "H02", size, f"the file ends inside the header; a GGUF header needs {HEADER_BYTES} bytes",
            "is the download complete?",
        )  # fmt: skip
    cursor.position = 4
    version = cursor.u32("H02", "the version")
    if version not in VERSIONS:
        raise _version_error(cursor, version)
    n_tensors = cursor.u64("H02", "n_tensors")
    n_kv = cursor.u64("H02", "n_kv")
    for code, at, field, count, smallest, cap in (
        ("H10", 8, "n_tensors", n_tensors, _SMALLEST_INFO, TENSOR_CAP),
        ("H13", 16, "n_kv", n_kv, _SMALLEST_ENTRY, KV_CAP),
    ):
        if count > cursor.remaining // smallest:
            raise cursor.error(
                code, at, f"{field} is {count}; entries of {smallest} bytes or more cannot fit in {size} bytes"
            )
        if count > cap:
            raise cursor.error(code, at, f"{field} is {count}; this reader takes {cap}", inconclusive=True)
    return version, n_tensors, n_kv


def _version_error(cursor: Cursor, version: int) -> Exception:
    if version & 0xFFFF == 0 and version:
        return cursor.error(
            "H09", 4, f"version is 0x{version:08x}; big-endian GGUF is not supported", "convert it to little-endian"
        )
    if version > max(VERSIONS):
        return cursor.error("H08", 4, f"version is {version}; newer than this reader, which reads 2 and 3")
    code = "H06" if version == 0 else "H07"
    return cursor.error(code, 4, f"version is {version}; not supported, this reader reads 2 and 3", "convert the file")


def read_metadata(cursor: Cursor, count: int) -> dict[str, Entry]:
    """The metadata entries by key, in file order.

    Raises:
        GgufError: K*, S*, A*.
    """
    entries: dict[str, Entry] = {}
    for _ in range(count):
        entry = read_entry(cursor)
        first = entries.get(entry.key)
        if first is not None:
            raise cursor.error(
                "K06" if _same(first.value, entry.value) else "K07",
                entry.offset,
                f"duplicate key {quote(entry.key)}; it first appears at byte {first.offset}",
            )
        entries[entry.key] = entry
    return entries


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return type(one) is type(other) and one == other


def alignment(cursor: Cursor, entries: dict[str, Entry]) -> int:
    """Alignment of tensor data in bytes.

    Raises:
        GgufError: L01, L04.
    """
    entry = entries.get("general.alignment")
    if entry is None:
        return _DEFAULT_ALIGNMENT
    value = entry.value
    if entry.type is not ValueType.U32 or not isinstance(value, int):
        raise cursor.error("L04", entry.value_offset, f"general.alignment is a {entry.label}; must be a u32")
    if not _MIN_ALIGNMENT <= value <= _MAX_ALIGNMENT or value & (value - 1):
        raise cursor.error(
            "L01",
            entry.value_offset,
            f"general.alignment is {value}; must be a power of two in {_MIN_ALIGNMENT}..{_MAX_ALIGNMENT}",
        )
    return value


def check_hyperparameters(cursor: Cursor, entries: dict[str, Entry], *, named: bool = True) -> None:
    """What no later code should have to doubt: the architecture is named, norms and rotations are finite.

    Args:
        named: the architecture must be there, as it is in all but the later files of a set.

    Raises:
        GgufError: K11, K12.
    """
    architecture = entries.get("general.architecture")
    if architecture is None and named:
        raise cursor.error("K12", None, "general.architecture is missing; it names the model's architecture")
    if architecture is not None and architecture.type is not ValueType.STRING:
        raise cursor.error(
            "K12", architecture.value_offset, f"general.architecture is a {architecture.label}; must be a string"
        )
    for entry in entries.values():
        value = entry.value
        if entry.key.endswith(_POSITIVE) and isinstance(value, float) and not (math.isfinite(value) and value > 0):
            raise cursor.error(
                "K11", entry.value_offset, f"{quote(entry.key)} is {value}; a hyperparameter must be finite and > 0"
            )
