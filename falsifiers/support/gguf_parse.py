"""A second GGUF reader, for well-formed files only: `struct` over the bytes of the header, nothing shared.

    "GGUF", version u32, n_tensors u64, n_kv u64
    n_kv times       key string, value type u32, value           string: length u64, bytes
    n_tensors times  name string, n_dims u32, dims u64 (row length first), type u32, offset u64
    data at the next multiple of general.alignment (32), tensor offsets count from there

Source: docs/gguf.md of ggml. Block sizes: ggml-common.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

# type id -> (weights per block, bytes per block)
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    """Rows first, row length last."""
    type: int
    offset: int
    """From the start of the file."""
    size_bytes: int


@dataclass(frozen=True)
class Header:
    version: int
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]
    ends: tuple[int, ...]
    """Bytes at which a field of the header ends: every place where a file may be cut."""


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.ends = data, 0, [0]

    def number(self, form: str) -> Any:
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        self.ends.append(self.at)
        return value

    def text(self) -> str:
        length = self.number("<Q")
        self.at += length
        self.ends.append(self.at)
        return self.data[self.at - length : self.at].decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            element, count = self.number("<I"), self.number("<Q")
            return [self.value(element) for _ in range(count)]
        return self.number(_SCALARS[kind])


def parse(path: Path, header_bytes: int = 64 << 20) -> Header:
    """The header of a file whose metadata and tensor infos lie within its first `header_bytes`."""
    with path.open("rb") as file:
        source = _Bytes(file.read(header_bytes))
    magic = source.number("<I")
    assert magic == int.from_bytes(b"GGUF", "little"), f"{path.name} does not begin with GGUF"
    version, n_tensors, n_kv = source.number("<I"), source.number("<Q"), source.number("<Q")
    metadata = {}
    for _ in range(n_kv):
        key = source.text()
        metadata[key] = source.value(source.number("<I"))
    infos = []
    for _ in range(n_tensors):
        name = source.text()
        dims = [source.number("<Q") for _ in range(source.number("<I"))]
        infos.append((name, dims, source.number("<I"), source.number("<Q")))
    alignment = metadata.get("general.alignment", 32)
    start = -(-source.at // alignment) * alignment
    tensors = {}
    for name, dims, kind, relative in infos:
        block, block_bytes = BLOCKS[kind]
        weights = 1
        for dim in dims:
            weights *= dim
        tensors[name] = Tensor(tuple(reversed(dims)), kind, start + relative, weights // block * block_bytes)
    return Header(version, metadata, tensors, tuple(source.ends))
