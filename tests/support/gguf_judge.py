"""A second reader of GGUF headers: says whether a file may be accepted and what it then holds, and nothing else.

Written from the GGUF specification and the limits in the docstrings of `engine.gguf`, without its code: it walks over
bytes that are all in memory and refuses at the first thing that is wrong, so that it needs no bounds of its own.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import NoReturn

import gguf

BOOL, STRING, ARRAY = 7, 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
FLOATS = (6, 12)
RUNNABLE = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
LAYOUTS = {int(kind): gguf.GGML_QUANT_SIZES[kind] for kind in gguf.GGMLQuantizationType if kind.name in RUNNABLE}
"""Block size in weights and type size in bytes, of the types that the engine runs."""
POSITIVE = (".rope.freq_base", ".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon")


class RefusedError(Exception):
    """The file must not be accepted."""


@dataclass
class Content:
    """What an accepted file holds."""

    entries: dict[str, tuple[int, int | None, bytes | list[bytes]]] = field(default_factory=dict)
    """By key: value type, element type of an array, raw bytes (of each string of an array of strings)."""
    tensors: dict[str, tuple[int, tuple[int, ...], int, int]] = field(default_factory=dict)
    """By name: type, shape in numpy order, absolute offset, size in bytes."""


def judge(raw: bytes) -> Content:
    """What the file holds.

    Raises:
        RefusedError: it must be refused.
    """
    try:
        return _Walk(raw).file()
    except struct.error:
        raise RefusedError("the file ends") from None


class _Walk:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.raw, self.at)
        self.at += struct.calcsize("<" + code)
        return int(value)

    def bytes_of(self, length: int) -> bytes:
        part = self.raw[self.at : self.at + length]
        demand(len(part) == length, "the file ends")
        self.at += length
        return part

    def file(self) -> Content:
        demand(self.bytes_of(4) == b"GGUF", "magic")
        demand(self.number("I") in (2, 3), "version")
        n_tensors, n_kv = self.number("Q"), self.number("Q")
        content = Content()
        for _ in range(n_kv):
            self.entry(content)
        kind, _, value = content.entries.get("general.architecture", (None, None, b""))
        demand(kind == STRING, "architecture")
        alignment = 32
        if "general.alignment" in content.entries:
            kind, _, value = content.entries["general.alignment"]
            demand(kind == 4, "type of the alignment")
            assert isinstance(value, bytes)
            alignment = int.from_bytes(value, "little")
            demand(alignment in [1 << power for power in range(3, 17)], "alignment")
        infos = [self.info() for _ in range(n_tensors)]
        start = math.ceil(self.at / alignment) * alignment
        end = 0
        for name, kind, shape, offset in infos:
            weights_per_block, bytes_per_block = LAYOUTS[kind]
            size = math.prod(shape) // weights_per_block * bytes_per_block
            demand(name not in content.tensors, "duplicate tensor")
            demand(offset % alignment == 0 and offset >= end, "offset")
            end = offset + size
            demand(start + end <= len(self.raw), "data")
            content.tensors[name] = (kind, shape, start + offset, size)
        return content

    def entry(self, content: Content) -> None:
        key = self.bytes_of(self.number("Q"))
        demand(1 <= len(key) <= 65_535 and all(0x20 < byte < 0x7F for byte in key), "key")
        name = key.decode()
        demand(name not in content.entries, "duplicate key")
        kind = self.number("I")
        element, value = None, b""
        if kind == ARRAY:
            element = self.number("I")
            demand(element != ARRAY and element <= 12, "element type")
            count = self.number("Q")
            if element == STRING:
                demand(count <= len(self.raw), "the file ends")
                strings = [self.text(strict=name != "tokenizer.ggml.tokens") for _ in range(count)]
                content.entries[name] = (kind, element, strings)
                return
            value = self.bytes_of(count * struct.calcsize("<" + SCALARS[element]))
            demand(element != BOOL or not value.strip(b"\0\1"), "bool")
        elif kind == STRING:
            value = self.text()
        else:
            demand(kind in SCALARS, "value type")
            value = self.bytes_of(struct.calcsize("<" + SCALARS[kind]))
            demand(kind != BOOL or value in (b"\0", b"\1"), "bool")
            if kind in FLOATS and name.endswith(POSITIVE):
                (positive,) = struct.unpack("<" + SCALARS[kind], value)
                demand(math.isfinite(positive) and positive > 0, "hyperparameter")
        content.entries[name] = (kind, element, value)

    def text(self, *, strict: bool = True) -> bytes:
        raw = self.bytes_of(self.number("Q"))
        try:
            raw.decode()
        except UnicodeDecodeError:
            demand(not strict, "UTF-8")
        return raw

    def info(self) -> tuple[str, int, tuple[int, ...], int]:
        raw = self.bytes_of(self.number("Q"))
        demand(1 <= len(raw) <= 64 and all(0x20 < byte < 0x7F and byte not in b"/\\" for byte in raw), "tensor name")
        demand(b".." not in raw, "tensor name")
        n_dims = self.number("I")
        demand(1 <= n_dims <= 4, "n_dims")
        dims = [self.number("Q") for _ in range(n_dims)]
        demand(all(0 < dim < 1 << 63 for dim in dims), "dimension")
        kind = self.number("I")
        demand(kind in LAYOUTS, "tensor type")
        demand(dims[0] % LAYOUTS[kind][0] == 0, "row length")
        return raw.decode(), kind, tuple(reversed(dims)), self.number("Q")


def demand(right: bool, what: str) -> None:
    """Refuse the file unless it is right."""
    if not right:
        _refuse(what)


def _refuse(what: str) -> NoReturn:
    raise RefusedError(what)
