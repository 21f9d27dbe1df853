"""A small valid GGUF file, field by field, so that a test changes one field and knows where it lies.

    builder = valid_file()
    builder.infos[1].offset = 33
    builder.build()                          the bytes
    builder.at["tensor 1 offset"]            the byte at which the changed field starts

Written from the GGUF specification, without the code under test.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
Q4_K = 12
_SCALAR_CODES = {
    U8: "<B",
    I8: "<b",
    U16: "<H",
    I16: "<h",
    U32: "<I",
    I32: "<i",
    F32: "<f",
    BOOL: "<B",
    U64: "<Q",
    I64: "<q",
    F64: "<d",
}


def u32(value: int) -> bytes:
    """Four bytes, little-endian."""
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    """Eight bytes, little-endian."""
    return struct.pack("<Q", value)


def scalar(type_: int, value: float) -> bytes:
    """The bytes of one scalar value."""
    return struct.pack(_SCALAR_CODES[type_], value)


def string(text: bytes, length: int | None = None) -> bytes:
    """A string with its length, or with another length."""
    return u64(len(text) if length is None else length) + text


def array(type_: int, elements: list[bytes], count: int | None = None) -> bytes:
    """An array of ready-made elements, or with another count."""
    return u32(type_) + u64(len(elements) if count is None else count) + b"".join(elements)


@dataclass
class Entry:
    """One metadata entry; `key_length` overrides the true one."""

    key: bytes
    type: int
    value: bytes
    key_length: int | None = None


@dataclass
class Info:
    """One tensor info with dims in GGUF's order; overrides may contradict the rest."""

    name: bytes
    dims: list[int]
    type: int
    offset: int
    name_length: int | None = None
    n_dims: int | None = None


@dataclass
class Builder:
    """All fields of a file; counts are true unless overridden."""

    entries: list[Entry]
    infos: list[Info]
    data: bytes
    magic: bytes = b"GGUF"
    version: bytes = u32(3)
    n_tensors: int | None = None
    n_kv: int | None = None
    alignment: int = 32
    at: dict[str, int] = field(default_factory=dict)
    """Where each field starts, filled by `build`."""

    def entry(self, key: bytes) -> Entry:
        """The entry of one key."""
        return next(entry for entry in self.entries if entry.key == key)

    def build(self) -> bytes:
        """The bytes of the file."""
        out = bytearray()

        def put(name: str, raw: bytes) -> None:
            self.at[name] = len(out)
            out.extend(raw)

        put("magic", self.magic)
        put("version", self.version)
        put("n_tensors", u64(len(self.infos) if self.n_tensors is None else self.n_tensors))
        put("n_kv", u64(len(self.entries) if self.n_kv is None else self.n_kv))
        for index, entry in enumerate(self.entries):
            put(f"kv {index} key", string(entry.key, entry.key_length))
            put(f"kv {index} type", u32(entry.type))
            put(f"kv {index} value", entry.value)
        for index, info in enumerate(self.infos):
            put(f"tensor {index} name", string(info.name, info.name_length))
            put(f"tensor {index} n_dims", u32(len(info.dims) if info.n_dims is None else info.n_dims))
            put(f"tensor {index} dims", b"".join(u64(dim) for dim in info.dims))
            put(f"tensor {index} type", u32(info.type))
            put(f"tensor {index} offset", u64(info.offset))
        put("padding", bytes(-len(out) % self.alignment))
        put("data", self.data)
        self.at["end"] = len(out)
        return bytes(out)


def valid_file() -> Builder:
    """Nine metadata entries of every kind and three tensors: F32 (4, 8), Q4_K (2, 256), F32 (5,)."""
    tokens = [string(text) for text in (b"a", b"bc", b"", "né".encode())]
    entries = [
        Entry(b"general.architecture", STRING, string(b"qwen2")),
        Entry(b"general.alignment", U32, u32(32)),
        Entry(b"general.name", STRING, string(b"tiny")),
        Entry(b"qwen2.block_count", U32, u32(1)),
        Entry(b"qwen2.rope.freq_base", F32, scalar(F32, 10000.0)),
        Entry(b"qwen2.attention.layer_norm_rms_epsilon", F32, scalar(F32, 1e-6)),
        Entry(b"tokenizer.ggml.add_bos_token", BOOL, scalar(BOOL, 1)),
        Entry(b"tokenizer.ggml.tokens", ARRAY, array(STRING, tokens)),
        Entry(b"test.flags", ARRAY, array(BOOL, [b"\x01", b"\x00", b"\x01"])),
    ]
    infos = [
        Info(b"token_embd.weight", [8, 4], 0, 0),
        Info(b"blk.0.attn_q.weight", [256, 2], Q4_K, 128),
        Info(b"output_norm.weight", [5], 0, 416),
    ]
    floats = struct.pack("<32f", *range(32))
    blocks = bytes(index % 251 for index in range(288))
    norm = struct.pack("<5f", *range(5)) + bytes(12)
    return Builder(entries, infos, floats + blocks + norm)
