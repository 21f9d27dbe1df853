"""Damaged GGUF files, each made from its number alone.

Half of them are damage to the fields before the file is written, so that what follows stays in its place and is read;
the other half is damage to the bytes. One to three changes each; one in sixteen gets none and must be accepted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from support.gguf_builder import (
    ARRAY,
    BOOL,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    Q4_K,
    STRING,
    U8,
    U16,
    U32,
    U64,
    Builder,
    Entry,
    Info,
    array,
    scalar,
    string,
    u32,
    u64,
    valid_file,
)  # fmt: skip

NUMBERS = (
    *range(10), 13, 16, 31, 32, 33, 64, 65, 255, 256, 512, 65_535, 65_536, 65_537,
    *(2**31 + near for near in (-1, 0, 1)), *(2**32 + near for near in (-1, 0)), 2**40, 2**42 + 1, 2**58, 2**61 + 1,
    *(2**63 + near for near in (-64, -1, 0)), *(2**64 - near for near in (64, 33, 32, 4, 2, 1)),
)  # fmt: skip
"""Bounds of fields, powers of two and their neighbours, and values whose products wrap in 64 bits."""
BYTES = (0x00, 0x01, 0x02, 0x02, 0x07, 0x20, 0x22, 0x2E, 0x2F, 0x5C, 0x7E, 0x7F, 0x80, 0xC3, 0xFF)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, float("inf"), float("-inf"), float("nan"))
TYPES = (0, 1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 24, 30, 31, 36, 41, 99)


def many_types() -> Builder:
    """Every value type, every array of it, version 2, an alignment of its own, tensors of many types."""
    entries = [Entry(b"general.architecture", STRING, string(b"llama")), Entry(b"general.alignment", U32, u32(8))]
    for kind in (U8, I8, U16, I16, U32, I32, F32, BOOL, U64, I64, F64):
        entries.append(Entry(b"one.%d" % kind, kind, scalar(kind, 1)))
        entries.append(Entry(b"many.%d" % kind, ARRAY, array(kind, [scalar(kind, bit) for bit in (1, 0, 1)])))
    entries.append(Entry(b"x.attention.layer_norm_epsilon", F64, scalar(F64, 1e-5)))
    entries.append(Entry(b"texts", ARRAY, array(STRING, [string(b"one"), string("zwei €".encode())])))
    infos, offset = [], 0
    for kind, dims, size in ((8, [32, 2, 1, 1], 68), (14, [256], 210), (30, [3, 3], 18), (Q4_K, [256, 1, 2], 288)):
        infos.append(Info(b"t.%d" % kind, dims, kind, offset))
        offset = -(-(offset + size) // 8) * 8
    return Builder(entries, infos, bytes(offset), version=u32(2), alignment=8)


def no_tensors() -> Builder:
    """The least that is a model's file, and a string that no terminal should see."""
    hostile = "\x1b[31m\u202e\0".encode()
    entries = [
        Entry(b"general.architecture", STRING, string(b"qwen2")),
        Entry(b"general.alignment", U32, u32(64)),
        Entry(b"a", STRING, string(hostile)),
        Entry(b"b", BOOL, b"\1"),
    ]
    return Builder(entries, [], b"")


SEEDS: tuple[Callable[[], Builder], ...] = (valid_file, many_types, no_tensors)


def mutant(seed: int, number: int) -> bytes:
    """The file of this number."""
    random = Random(seed * 2**32 + number)
    builder = random.choice(SEEDS)()
    if number % 16 == 0:
        return builder.build()
    changes = random.choice((1, 1, 2, 3))
    if number % 2:
        for _ in range(changes):
            random.choice(FIELDS)(builder, random)
        return builder.build()
    raw = bytearray(builder.build())
    header = builder.at["padding"]
    for _ in range(changes):
        random.choice(DAMAGE)(raw, header, random)
    return bytes(raw)


# to the fields


def _entry(builder: Builder, random: Random) -> Entry:
    return random.choice(builder.entries) if builder.entries else Entry(b"a", U8, b"\0")


def _info(builder: Builder, random: Random) -> Info:
    return random.choice(builder.infos) if builder.infos else Info(b"a", [1], 0, 0)


def _count(builder: Builder, random: Random) -> None:
    name = random.choice(("n_tensors", "n_kv"))
    true = len(builder.infos if name == "n_tensors" else builder.entries)
    setattr(builder, name, random.choice((true + 1, max(0, true - 1), random.choice(NUMBERS))))


def _twice(builder: Builder, random: Random) -> None:
    if random.random() < 0.5 and builder.infos:
        builder.infos.insert(random.randrange(len(builder.infos) + 1), _info(builder, random))
    else:
        builder.entries.insert(random.randrange(len(builder.entries) + 1), _entry(builder, random))


def _twice_with_another_value(builder: Builder, random: Random) -> None:
    builder.entries.append(Entry(_entry(builder, random).key, U8, b"\5"))


def _without(builder: Builder, random: Random) -> None:
    items = random.choice((builder.entries, builder.infos))
    if items:
        del items[random.randrange(len(items))]


def _swapped(builder: Builder, random: Random) -> None:
    items = random.choice((builder.entries, builder.infos))
    random.shuffle(items)


def _key(builder: Builder, random: Random) -> None:
    entry = _entry(builder, random)
    key = bytearray(entry.key or b"k")
    at = random.randrange(len(key))
    key[at : at + random.randrange(3)] = bytes([random.choice(BYTES)])
    entry.key = bytes(key)
    if random.random() < 0.2:
        entry.key = random.choice((b"", b"k" * 65_535, b"k" * 65_536, b"general.architecture"))


def _key_length(builder: Builder, random: Random) -> None:
    _entry(builder, random).key_length = random.choice(NUMBERS)


def _value(builder: Builder, random: Random) -> None:
    entry = _entry(builder, random)
    kind = random.choice((U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, 13, 2**31 - 1))
    entry.type = kind
    if kind in (F32, F64):
        entry.value = scalar(kind, random.choice(FLOATS))
    elif kind == BOOL:
        entry.value = bytes([random.choice((0, 1, 2, 255))])
    elif kind == STRING:
        text = random.choice((b"", b"text", b"\xff", b"\xc3", b"\xed\xa0\x80", "€".encode()))
        entry.value = string(text, random.choice((None, None, random.choice(NUMBERS))))
    elif kind == ARRAY:
        entry.value = _array(random)
    else:
        width = {U8: 1, I8: 1, U16: 2, I16: 2, U64: 8, I64: 8}.get(kind, 4)
        entry.value = (random.choice(NUMBERS) % 2 ** (8 * width)).to_bytes(width, "little")


def _array(random: Random) -> bytes:
    kind = random.choice((U8, U32, F32, BOOL, STRING, ARRAY, 13))
    elements = {BOOL: [b"\0", b"\1", b"\2"], STRING: [string(b"a"), string(b"\xff"), string(b"", 2**40)]}
    known = elements.get(kind, [bytes({U8: 1}.get(kind, 4))])
    chosen = [random.choice(known) for _ in range(random.randrange(4))]
    return array(kind, chosen, random.choice((None, None, len(chosen) + 1, random.choice(NUMBERS))))


def _within_value(builder: Builder, random: Random) -> None:
    entry = random.choice([*[entry for entry in builder.entries if entry.type in (BOOL, STRING, ARRAY)], None])
    if entry is not None and entry.value:
        at = random.choice((len(entry.value) - 1, random.randrange(len(entry.value))))
        entry.value = entry.value[:at] + bytes([random.choice(BYTES)]) + entry.value[at + 1 :]


def _rate(builder: Builder, random: Random) -> None:
    for entry in builder.entries:
        if entry.type in (F32, F64):
            entry.value = scalar(entry.type, random.choice(FLOATS))


def _alignment(builder: Builder, random: Random) -> None:
    value = random.choice(NUMBERS) % 2**32
    for entry in builder.entries:
        if entry.key == b"general.alignment":
            entry.type, entry.value = random.choice(((U32, u32(value)), (U64, u64(value)), (I32, u32(value))))
    if 8 <= value <= 1024 and random.random() < 0.5:
        builder.alignment = value


def _tensor_name(builder: Builder, random: Random) -> None:
    info = _info(builder, random)
    at = random.randrange(len(info.name) + 1)
    info.name = info.name[:at] + bytes([random.choice(BYTES)]) + info.name[at + 1 :]
    if random.random() < 0.3:
        info.name = random.choice((b"", b"n" * 64, b"n" * 65, b"a..b", b"../x", b"a/b", b"a b", "é".encode()))


def _tensor_name_length(builder: Builder, random: Random) -> None:
    _info(builder, random).name_length = random.choice(NUMBERS)


def _dims(builder: Builder, random: Random) -> None:
    info = _info(builder, random)
    info.dims = [*info.dims]
    if random.random() < 0.2:
        info.dims += [1] * random.randrange(1, 5)
    elif random.random() < 0.4:
        info.dims = [random.choice(NUMBERS) for _ in range(random.randrange(7))]
    elif info.dims:
        info.dims[random.randrange(len(info.dims))] = random.choice(NUMBERS)


def _n_dims(builder: Builder, random: Random) -> None:
    _info(builder, random).n_dims = random.choice(NUMBERS) % 2**32


def _tensor_type(builder: Builder, random: Random) -> None:
    _info(builder, random).type = random.choice((*TYPES, 2**32 - 1))


def _offset(builder: Builder, random: Random) -> None:
    info = _info(builder, random)
    step = random.choice((1, 8, 32, 64, -8, -32))
    info.offset = random.choice(
        (max(0, info.offset + step) % 2**64, random.choice(NUMBERS), _info(builder, random).offset)
    )


def _magic(builder: Builder, random: Random) -> None:
    builder.magic = random.choice((b"GGUF", b"FUGG", b"ggjt", b"ggml", b"PK\3\4", b"vers", b"\0\0\0\0"))


def _version(builder: Builder, random: Random) -> None:
    builder.version = random.choice((*map(u32, range(6)), u32(2**32 - 1), b"\0\0\0\3", b"\0\0\0\2"))


def _data(builder: Builder, random: Random) -> None:
    cut = random.choice((max(0, len(builder.data) - 1), random.randrange(len(builder.data) + 1)))
    builder.data = random.choice((builder.data[:cut], builder.data + bytes(cut)))


FIELDS = (
    _count, _twice, _twice_with_another_value, _without, _swapped, _key, _key_length, _value, _within_value, _rate,
    _alignment, _tensor_name, _tensor_name_length, _dims, _dims, _n_dims, _tensor_type, _offset, _offset, _magic,
    _version, _data,
)  # fmt: skip


# to the bytes


def _byte(raw: bytearray, header: int, random: Random) -> None:
    at = random.randrange(min(header, len(raw)) or 1)
    raw[at : at + 1] = bytes([random.choice(BYTES)])


def _flip(raw: bytearray, header: int, random: Random) -> None:
    if raw:
        raw[random.randrange(min(header, len(raw)))] ^= 1 << random.randrange(8)


def _overwrite(raw: bytearray, header: int, random: Random) -> None:
    code = random.choice(("<B", "<I", "<Q", "<Q"))
    value = random.choice((*NUMBERS, len(raw), header)) % 256 ** struct.calcsize(code)
    at = random.randrange(min(header, len(raw)) or 1)
    raw[at : at + struct.calcsize(code)] = struct.pack(code, value)


def _delete(raw: bytearray, header: int, random: Random) -> None:
    at = random.randrange(header)
    del raw[at : at + random.choice((1, 4, 8, random.randrange(1, 64)))]


def _repeat(raw: bytearray, header: int, random: Random) -> None:
    at = random.randrange(header)
    raw[at:at] = raw[at : at + random.choice((1, 4, 8, random.randrange(1, 64)))]


def _cut(raw: bytearray, header: int, random: Random) -> None:
    del raw[random.randrange(len(raw) + 1) :]


def _move(raw: bytearray, header: int, random: Random) -> None:
    size = random.choice((4, 8, 16))
    source, target = random.randrange(header), random.randrange(header)
    raw[target : target + size] = raw[source : source + size]


def _other_file(raw: bytearray, header: int, random: Random) -> None:
    other = random.choice(SEEDS)().build()
    at = random.randrange(min(header, len(other)))
    raw[at:] = other[at:]


DAMAGE = (_byte, _flip, _flip, _overwrite, _overwrite, _delete, _repeat, _cut, _move, _other_file)
