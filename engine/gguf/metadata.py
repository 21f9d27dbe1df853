"""Metadata entries of a GGUF header.

    key      u64 length, bytes          ASCII, 1..65535 bytes
    type     u32                        engine.gguf.types.ValueType
    value    scalar                     1..8 bytes, little-endian; bool is one byte, 0 or 1
             string                     u64 length, UTF-8 bytes
             array                      u32 element type, u64 count, elements

Codes: K* keys and scalars, S* strings, A* arrays; M10 to M12 where a vocabulary or a template is larger than any.
Source: the GGUF specification in ggml's docs/gguf.md.
Not here: arrays of arrays, which the specification allows and no real file has.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.gguf.cursor import Cursor
from engine.gguf.display import quote
from engine.gguf.strings import Strings, check_length, read_strings
from engine.gguf.types import ValueType

Value = bool | int | float | str | Strings | npt.NDArray[Any]

KEY_CAP_BYTES = 65_535
ARRAY_CAP = 16_777_216
TEMPLATE_CAP_BYTES = 256 * 1024
TOKEN_CAP_BYTES = 65_536
TOKENS_CAP, MERGES_CAP = 1 << 21, 1 << 22
"""Real vocabularies end near 2^18 tokens and 2^19 merges, and their longest tokens are runs of some hundred spaces."""
_TEMPLATE_KEY, _MERGES_KEY = "tokenizer.chat_template", "tokenizer.ggml.merges"
RAW_TEXT_KEY = "tokenizer.ggml.tokens"
"""Tokens may be pieces of a UTF-8 sequence; undecodable bytes become lone surrogates (PEP 383)."""

_SCALARS: dict[ValueType, tuple[str, int]] = {
    ValueType.U8: ("<B", 1),
    ValueType.I8: ("<b", 1),
    ValueType.U16: ("<H", 2),
    ValueType.I16: ("<h", 2),
    ValueType.U32: ("<I", 4),
    ValueType.I32: ("<i", 4),
    ValueType.F32: ("<f", 4),
    ValueType.BOOL: ("<?", 1),
    ValueType.U64: ("<Q", 8),
    ValueType.I64: ("<q", 8),
    ValueType.F64: ("<d", 8),
}
_DTYPES: dict[ValueType, str] = {
    ValueType.U8: "<u1",
    ValueType.I8: "<i1",
    ValueType.U16: "<u2",
    ValueType.I16: "<i2",
    ValueType.U32: "<u4",
    ValueType.I32: "<i4",
    ValueType.F32: "<f4",
    ValueType.BOOL: "|b1",
    ValueType.U64: "<u8",
    ValueType.I64: "<i8",
    ValueType.F64: "<f8",
}


@dataclass(frozen=True)
class Entry:
    """One metadata entry."""

    key: str
    value: Value
    type: ValueType
    element_type: ValueType | None
    """Of an array; None for a scalar or string."""
    offset: int
    """Byte of the file at which the key's length starts."""
    value_offset: int
    """Byte of the file at which the value starts, after its type."""

    @property
    def label(self) -> str:
        """Type as messages write it: `u32`, `array of string`."""
        return self.type.label if self.element_type is None else f"array of {self.element_type.label}"


def read_entry(cursor: Cursor) -> Entry:
    """Read the entry at the cursor.

    Raises:
        GgufError: any rule of keys, scalars, strings or arrays.
    """
    offset = cursor.position
    key = _read_key(cursor)
    shown = quote(key)
    type_offset = cursor.position
    number = cursor.u32("K10", f"the value type of {shown}")
    try:
        type_ = ValueType(number)
    except ValueError:
        raise cursor.error("K08", type_offset, f"value type of {shown} is {number}; known types are 0..12") from None
    value_offset = cursor.position
    if type_ is ValueType.STRING:
        return Entry(key, _read_string(cursor, key), type_, None, offset, value_offset)
    if type_ is ValueType.ARRAY:
        value, element_type = _read_array(cursor, key)
        return Entry(key, value, type_, element_type, offset, value_offset)
    return Entry(key, _read_scalar(cursor, type_, shown), type_, None, offset, value_offset)


def _read_key(cursor: Cursor) -> str:
    offset = cursor.position
    length = cursor.u64("K01", "the length of a metadata key")
    if length > cursor.remaining:
        raise cursor.error("K01", offset, f"key length is {length}; the file has {cursor.remaining} bytes left")
    if length > KEY_CAP_BYTES:
        raise cursor.error("K02", offset, f"key length is {length}; a key has at most {KEY_CAP_BYTES} bytes")
    if length == 0:
        raise cursor.error("K03", offset, "key length is 0; a metadata key must not be empty")
    raw = cursor.take(length, "K01", "a metadata key")
    for index, byte in enumerate(raw):
        if byte > 0x7E:
            raise cursor.error("K04", offset + 8 + index, f"key has byte 0x{byte:02x}; a key is printable ASCII")
        if byte <= 0x20:
            raise cursor.error("K05", offset + 8 + index, f"key has forbidden byte 0x{byte:02x}; no spaces or controls")
    return raw.decode("ascii")


def _read_scalar(cursor: Cursor, type_: ValueType, shown: str) -> bool | int | float:
    code, size = _SCALARS[type_]
    offset = cursor.position
    raw = cursor.take(size, "K10", f"the value of {shown}, a {type_.label},")
    if type_ is ValueType.BOOL and raw[0] > 1:
        raise cursor.error("K09", offset, f"bool {shown} is {raw[0]}; a bool must be 0 or 1")
    value: bool | int | float = struct.unpack(code, raw)[0]
    return value


def _read_string(cursor: Cursor, key: str) -> str:
    shown = quote(key)
    offset = cursor.position
    length = cursor.u64("S03", f"the length of {shown}")
    if key.startswith(_TEMPLATE_KEY) and TEMPLATE_CAP_BYTES < length <= cursor.remaining:
        problem = f"length of {shown} is {length}; template refused, it has at most {TEMPLATE_CAP_BYTES} bytes"
        raise cursor.error("M12", offset, problem)
    check_length(cursor, offset, length, f"string {shown}", "S01")
    raw = cursor.take(length, "S03", f"string {shown}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise cursor.error(
            "S04", offset + 8 + err.start, f"string {shown} has byte 0x{raw[err.start]:02x}; it is not valid UTF-8"
        ) from None


def _read_array(cursor: Cursor, key: str) -> tuple[Strings | npt.NDArray[Any], ValueType]:
    shown = quote(key)
    type_offset = cursor.position
    number = cursor.u32("A01", f"the element type of array {shown}")
    try:
        type_ = ValueType(number)
    except ValueError:
        raise cursor.error("A04", type_offset, f"element type of {shown} is {number}; known types are 0..12") from None
    if type_ is ValueType.ARRAY:
        raise cursor.error("A05", type_offset, f"element type of {shown} is array; nested arrays are not supported")
    count_offset = cursor.position
    count = cursor.u64("A01", f"the length of array {shown}")
    smallest = 8 if type_ is ValueType.STRING else _SCALARS[type_][1]
    if count > cursor.remaining // smallest:
        raise cursor.error(
            "A01",
            count_offset,
            f"length of array {shown} is {count}; elements of {smallest} bytes or more cannot fit "
            f"in the {cursor.remaining} bytes left",
        )
    most = {RAW_TEXT_KEY: TOKENS_CAP, _MERGES_KEY: MERGES_CAP}.get(key, count)
    if count > most:
        raise cursor.error("M10", count_offset, f"length of array {shown} is {count}; a vocabulary has at most {most}")
    if count > ARRAY_CAP:
        raise cursor.error(
            "A09", count_offset, f"length of array {shown} is {count}; this reader takes {ARRAY_CAP}", inconclusive=True
        )
    if type_ is ValueType.STRING:
        token_bytes = TOKEN_CAP_BYTES if key in (RAW_TEXT_KEY, _MERGES_KEY) else None
        return read_strings(cursor, key, count, as_text=key != RAW_TEXT_KEY, token_bytes=token_bytes), type_
    start = cursor.position
    raw = cursor.take(count * smallest, "A01", f"array {shown}")
    if type_ is ValueType.BOOL:
        wrong = np.flatnonzero(np.frombuffer(raw, np.uint8) > 1)
        if wrong.size:
            index = int(wrong[0])
            raise cursor.error(
                "A08", start + index, f"bool {index} of array {shown} is {raw[index]}; a bool must be 0 or 1"
            )
    return np.frombuffer(raw, _DTYPES[type_]), type_
