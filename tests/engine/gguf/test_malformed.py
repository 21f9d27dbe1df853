"""One valid file plus one changed field: refused by the stated rule, at the stated byte, fast, in little memory.

The ids are those of the corpus of malformations; where several cases break one rule, they share its code. M01 to M15,
the rows about models, are in tests/engine/llm/test_malformed_models.py.
"""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from engine.errors import GgufError
from engine.gguf import cursor, header, strings
from engine.gguf.reader import open_gguf
from engine.gguf.strings import Strings
from support import gguf_flips
from support.gguf_builder import (
    ARRAY,
    BOOL,
    F32,
    I32,
    STRING,
    U8,
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
)

MAX_SECONDS = 1.0
MAX_BYTES = 32 * 1024 * 1024
MAX = 2**64 - 1


@dataclass(frozen=True)
class Case:
    """A change to the valid file, or bytes instead of it, and what must come of it."""

    id: str
    make: Callable[[Builder], bytes | None]
    code: str
    at: str | int | None
    """Name of a field in `Builder.at`, or a byte, or None for a rule about no single byte."""
    says: str
    inconclusive: bool = False


def put(**fields: object) -> Callable[[Builder], None]:
    """Change fields of the builder itself."""

    def change(builder: Builder) -> None:
        for name, value in fields.items():
            setattr(builder, name, value)

    return change


def entry(of: bytes, /, **fields: object) -> Callable[[Builder], None]:
    """Change fields of one metadata entry."""

    def change(builder: Builder) -> None:
        for name, value in fields.items():
            setattr(builder.entry(of), name, value)

    return change


def tensor(index: int, **fields: object) -> Callable[[Builder], None]:
    """Change fields of one tensor info."""

    def change(builder: Builder) -> None:
        for name, value in fields.items():
            setattr(builder.infos[index], name, value)

    return change


def add(*extra: Entry) -> Callable[[Builder], None]:
    """Append metadata entries."""

    def change(builder: Builder) -> None:
        builder.entries.extend(extra)

    return change


def cut(length: int) -> Callable[[Builder], bytes]:
    """The valid file without its last bytes; `length` from the start if positive, from the end if negative."""
    return lambda builder: builder.build()[:length]


def only(raw: bytes) -> Callable[[Builder], bytes]:
    """These bytes instead of a GGUF file."""
    return lambda _: raw


def grow(index: int, dims: list[int]) -> Callable[[Builder], None]:
    return tensor(index, dims=dims)


def two_huge(builder: Builder) -> None:
    """Two tensors of 2^63 - 64 bytes, whose sum is 2^64 - 128."""
    size = 2**63 - 64
    builder.infos = [Info(b"one", [size // 4], 0, 0), Info(b"two", [size // 4], 0, size)]


def remove(key: bytes) -> Callable[[Builder], None]:
    def change(builder: Builder) -> None:
        builder.entries.remove(builder.entry(key))

    return change


def shift_later_tensors(builder: Builder) -> bytes:
    builder.infos[2].offset += 64
    builder.data = builder.data[:416] + bytes(64) + builder.data[416:]
    return builder.build()


def swapped(builder: Builder) -> None:
    """The first two tensors without overlap or gap, the second before the first."""
    builder.infos[0].offset, builder.infos[1].offset = 288, 0


def ends_in_scalar(builder: Builder) -> bytes:
    raw = builder.build()
    return raw[: builder.at["kv 3 value"] + 2]


def string_one_longer(builder: Builder) -> bytes:
    builder.entries, builder.infos, builder.data, builder.alignment = builder.entries[:3], [], b"", 1
    builder.entries[2].value = string(b"tiny", 5)
    return builder.build()


def many_elements(builder: Builder) -> None:
    builder.entries.append(Entry(b"x", ARRAY, array(U8, [bytes(16_777_217)], 16_777_217)))


def nested(depth: int) -> bytes:
    return (u32(ARRAY) + u64(1)) * depth + u32(U8) + u64(0)


def safetensors() -> bytes:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return u64(len(header)) + header + bytes(4)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4683073184\n"
HTML = b"<!DOCTYPE html><html><head><title>404</title></head></html>"

# By hand from the specification's list of types.
REMOVED = {
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}  # fmt: skip

CASES = [
    Case("H01", only(b""), "H01", 0, "the file is 0 bytes; a GGUF header needs 24"),
    Case("H02", cut(4), "H02", 4, "ends inside the header"),
    Case("H03", cut(23), "H02", 23, "ends inside the header"),
    Case("H04", put(magic=b"FUGG"), "H04", 0, "not a GGUF file; it is a GGUF file with its magic bytes reversed"),
    Case("H04-unknown", put(magic=b"\x00\x01\x02\x03"), "H04", 0, "first bytes 00 01 02 03"),
    Case("H05-ggjt", put(magic=b"tjgg"), "H05", 0, "a ggjt file"),
    Case("H05-ggml", put(magic=b"lmgg"), "H05", 0, "an unversioned ggml file"),
    Case("H05-zip", put(magic=b"PK\x03\x04"), "H05", 0, "a zip archive"),
    Case("H05-safetensors", only(safetensors()), "H05", 0, "a safetensors file"),
    Case("H05-html", only(HTML), "H05", 0, "an HTML page"),
    Case("H05-lfs", only(LFS), "H05", 0, "a git-lfs pointer, 135 bytes; run `git lfs pull`"),
    Case("H06", put(version=u32(0)), "H06", "version", "version is 0; not supported"),
    Case("H07", put(version=u32(1)), "H07", "version", "version is 1; not supported"),
    Case("H08-4", put(version=u32(4)), "H08", "version", "version is 4; newer than this reader"),
    Case("H08-max", put(version=u32(2**32 - 1)), "H08", "version", "version is 4294967295; newer"),
    Case("H09", put(version=b"\x00\x00\x00\x03"), "H09", "version", "big-endian GGUF is not supported"),
    Case("H10", put(n_tensors=MAX), "H10", "n_tensors", "n_tensors is 18446744073709551615;"),
    Case("H11", put(n_tensors=2**63), "H10", "n_tensors", "cannot fit"),
    Case("H12", put(n_tensors=4), "H12", "padding", "n_tensors is 4; the file has 3 tensor infos"),
    Case("H13", put(n_kv=MAX), "H13", "n_kv", "n_kv is 18446744073709551615;"),
    Case("H14", only(b"GGUF" + u32(3) + u64(0) + u64(2**40)), "H13", 16, "cannot fit in 24 bytes"),
    Case("H15", put(n_kv=8), "H15", "kv 8 key", "metadata entry 'test.flags'; n_kv in the header is too small"),
    Case("K01", entry(b"general.name", key_length=MAX), "K01", "kv 2 key", "key length is 18446744073709551615"),
    Case("K02", add(Entry(b"k" * 65_536, U8, b"\0")), "K02", "kv 9 key", "is 65536; a key has at most 65535"),
    Case("K03", entry(b"general.name", key=b""), "K03", "kv 2 key", "must not be empty"),
    Case("K04", add(Entry(b"a\xff", U8, b"\0")), "K04", "kv 9 key+9", "key has byte 0xff; a key is printable ASCII"),
    Case("K05-nul", add(Entry(b"a\x00b", U8, b"\0")), "K05", "kv 9 key+9", "forbidden byte 0x00"),
    Case("K05-space", add(Entry(b"ab c", U8, b"\0")), "K05", "kv 9 key+10", "forbidden byte 0x20"),
    Case("K05-escape", add(Entry(b"\x1b[m", U8, b"\0")), "K05", "kv 9 key+8", "forbidden byte 0x1b"),
    Case("K06", add(Entry(b"qwen2.block_count", U32, u32(1))), "K06", "kv 9 key", "duplicate key 'qwen2.block_count'"),
    Case("K07", add(Entry(b"general.architecture", STRING, string(b"llama"))), "K07", "kv 9 key", "at byte 24"),
    Case("K08-13", entry(b"general.name", type=13), "K08", "kv 2 type", "value type of 'general.name' is 13"),
    Case("K08-max", entry(b"general.name", type=2**31 - 1), "K08", "kv 2 type", "is 2147483647"),
    Case("K09", entry(b"tokenizer.ggml.add_bos_token", value=b"\x07"), "K09", "kv 6 value", "a bool must be 0 or 1"),
    Case("K10", ends_in_scalar, "K10", "kv 3 value", "the value of 'qwen2.block_count', a u32, needs 4 bytes"),
    Case("K11-nan", entry(b"qwen2.rope.freq_base", value=scalar(F32, float("nan"))), "K11", "kv 4 value", "finite"),
    Case("K11-inf", entry(b"qwen2.rope.freq_base", value=scalar(F32, float("inf"))), "K11", "kv 4 value", "finite"),
    Case("K11-zero", entry(b"qwen2.attention.layer_norm_rms_epsilon", value=u32(0)), "K11", "kv 5 value", "> 0"),
    Case("K12-missing", remove(b"general.architecture"), "K12", None, "general.architecture is missing"),
    Case("K12-type", entry(b"general.architecture", type=U32, value=u32(1)), "K12", "kv 0 value", "must be a string"),
    Case("S01", entry(b"general.name", value=string(b"tiny", MAX)), "S01", "kv 2 value", "is 18446744073709551615"),
    Case("S02", entry(b"general.name", value=string(b"tiny", 2**63)), "S01", "kv 2 value", "is 9223372036854775808"),
    Case("S03", string_one_longer, "S03", "kv 2 value", "is 5; the file has 4 bytes left"),
    Case("S04", entry(b"general.name", value=string(b"a\xffb")), "S04", "kv 2 value+9", "0xff; it is not valid UTF-8"),
    Case("A01", add(Entry(b"x", ARRAY, array(U8, [], 2**63))), "A01", "kv 9 value+4", "is 9223372036854775808"),
    Case("A02", add(Entry(b"x", ARRAY, array(U8, [], 2**31))), "A01", "kv 9 value+4", "cannot fit"),
    Case("A03", add(Entry(b"x", ARRAY, array(U64, [], 2**61 + 1))), "A01", "kv 9 value+4", "cannot fit"),
    Case("A04", add(Entry(b"x", ARRAY, array(99, []))), "A04", "kv 9 value", "element type of 'x' is 99"),
    Case("A05", add(Entry(b"x", ARRAY, nested(1))), "A05", "kv 9 value", "nested arrays are not supported"),
    Case("A06", add(Entry(b"x", ARRAY, nested(5_000))), "A05", "kv 9 value", "nested arrays are not supported"),
    Case(
        "A07",
        add(Entry(b"x", ARRAY, array(STRING, [string(b"a"), string(b"b"), string(b"c"), u64(2**40)], 4))),
        "A07",
        "kv 9 value+39",
        "length of string 3 of array 'x' is 1099511627776",
    ),
    Case(
        "A08",
        entry(b"test.flags", value=array(BOOL, [b"\1", b"\2"])),
        "A08",
        "kv 8 value+13",
        "bool 1 .* is 2",
    ),
    Case("A09", many_elements, "A09", "kv 9 value+4", "is 16777217; this reader takes 16777216", inconclusive=True),
    Case("L01", entry(b"general.alignment", value=u32(0)), "L01", "kv 1 value", "power of two in 8..65536"),
    Case("L02", entry(b"general.alignment", value=u32(13)), "L01", "kv 1 value", "general.alignment is 13;"),
    Case("L03", entry(b"general.alignment", value=u32(2**31)), "L01", "kv 1 value", "is 2147483648;"),
    Case("L04-i32", entry(b"general.alignment", type=I32), "L04", "kv 1 value", "is a i32; must be a u32"),
    Case("L04-text", entry(b"general.alignment", type=STRING, value=string(b"32")), "L04", "kv 1 value", "is a string"),
    Case("L05", add(Entry(b"general.alignment", U32, u32(32))), "K06", "kv 9 key", "duplicate key"),
    Case("T01", tensor(1, name_length=MAX), "T01", "tensor 1 name", "name length of tensor 1 is 18446744073709551615"),
    Case("T02", tensor(1, name=b""), "T02", "tensor 1 name", "must have a name"),
    Case("T03", tensor(1, name=b"n" * 100), "T03", "tensor 1 name", "is 100; a name has at most 64"),
    Case("T04-slash", tensor(1, name=b"a/b"), "T04", "tensor 1 name+9", "forbidden byte 0x2f"),
    Case("T04-dots", tensor(1, name=b"a..b"), "T04", "tensor 1 name+9", "'..' is forbidden"),
    Case("T04-nul", tensor(1, name=b"ab\0"), "T04", "tensor 1 name+10", "forbidden byte 0x00"),
    Case("T04-newline", tensor(1, name=b"a\nb"), "T04", "tensor 1 name+9", "forbidden byte 0x0a"),
    Case("T05", tensor(1, name=b"token_embd.weight"), "T05", "tensor 1 name", "'token_embd.weight' appears twice"),
    Case("T06", tensor(1, dims=[]), "T06", "tensor 1 n_dims", "is 0; must be 1..4"),
    Case("T07", tensor(1, dims=[256, 1, 1, 1, 2]), "T06", "tensor 1 n_dims", "is 5; must be 1..4"),
    Case("T08", tensor(1, n_dims=2**32 - 1), "T06", "tensor 1 n_dims", "is 4294967295; must be 1..4"),
    Case("T09", grow(1, [256, 0]), "T09", "tensor 1 dims+8", "dimension 1 .* is 0; must be at least 1"),
    Case("T10", grow(1, [256, MAX]), "T10", "tensor 1 dims+8", "out of range"),
    Case("T11", grow(0, [2**32, 2**32]), "T11", "tensor 0 dims", "needs 73786976294838206464 bytes; the file has"),
    Case("T12", grow(0, [2**42 + 1, 2**22]), "T11", "tensor 0 dims", "needs 73786976294854983680 bytes"),
    Case("T13", grow(0, [2**63 - 1, 2]), "T11", "tensor 0 dims", "needs 73786976294838206456 bytes"),
    Case("T14", two_huge, "T11", "tensor 0 dims", "needs 9223372036854775744 bytes"),
    Case("T15", grow(0, [2**62 - 1]), "T11", "tensor 0 dims", "needs 18446744073709551612 bytes"),
    Case("T16", tensor(1, type=9999), "T16", "tensor 1 type", "is 9999; an unknown tensor type"),
    Case("T16-minus", tensor(1, type=2**32 - 1), "T16", "tensor 1 type", "is 4294967295; an unknown tensor type"),
    *(
        Case(
            f"T17-{number}",
            tensor(1, type=number),
            "T17",
            "tensor 1 type",
            rf"type {number} \({name}\) was removed from GGUF",
        )
        for number, name in REMOVED.items()
    ),
    Case("T18-iq", tensor(1, type=16), "T18", "tensor 1 type", "IQ2_XXS; GGUF knows it, this engine does not run it"),
    Case("T18-mxfp4", tensor(1, type=39), "T18", "tensor 1 type", "supported are BF16, F16, F32, Q2_K, Q3_K, Q4_0,"),
    Case("T19", grow(1, [100, 2]), "T19", "tensor 1 dims", "is 100; Q4_K needs a multiple of 256"),
    Case("T20", tensor(1, offset=129), "T20", "tensor 1 offset", "unaligned"),
    Case("T21", tensor(1, offset=2**64 - 32), "T22", "tensor 1 offset", "past the end of the 448 bytes of data"),
    Case("T22", tensor(2, offset=448), "T22", "tensor 2 offset", "is 448; past the end"),
    Case("T23", cut(-13), "T23", "tensor 2 offset", "1 bytes short; likely an incomplete download"),
    Case("T24", tensor(2, offset=128), "T24", "tensor 2 offset", "overlaps or precedes 'blk.0.attn_q.weight'"),
    Case("T25-overlap", tensor(2, offset=384), "T25", "tensor 2 offset", "overlaps or precedes"),
    Case("T25-order", swapped, "T25", "tensor 1 offset", "out of order, it must be at or behind byte 416"),
    Case("T24-first", tensor(1, offset=0), "T24", "tensor 1 offset", "overlaps or precedes"),
]


def resolve(builder: Builder, at: str | int | None) -> int | None:
    """The byte of a field, or of a place some bytes into it, such as `kv 9 key+8`."""
    if not isinstance(at, str):
        return at
    name, _, plus = at.partition("+")
    return builder.at[name] + int(plus or 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_malformed_file_is_refused(case: Case, tmp_path: Path) -> None:
    builder = valid_file()
    raw = case.make(builder)
    path = tmp_path / "bad.gguf"
    path.write_bytes(builder.build() if raw is None else raw)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(GgufError, match=case.says) as caught:
            open_gguf(path)
        elapsed = time.perf_counter() - start
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    error = caught.value
    message = str(error)
    assert error.code == f"GGUF-{case.code}"
    assert error.offset == resolve(builder, case.at)
    assert error.inconclusive is case.inconclusive
    where = "" if error.offset is None else f" at byte {error.offset}"
    assert message.startswith(f"bad.gguf: GGUF-{case.code}{where}: ")
    assert message.isprintable()
    assert elapsed < MAX_SECONDS, f"took {elapsed:.3f} s"
    assert peak < MAX_BYTES, f"took {peak} bytes"


def test_the_corpus_has_every_row_of_the_tables() -> None:
    """15 header, 13 key, 14 string and array, 5 alignment and 26 tensor rows; three rows are tests of their own."""
    rows = {f"H{n:02}" for n in range(1, 16)} | {f"K{n:02}" for n in range(1, 14)} | {f"S{n:02}" for n in range(1, 6)}
    rows |= {f"A{n:02}" for n in range(1, 10)} | {f"L{n:02}" for n in range(1, 6)} | {f"T{n:02}" for n in range(1, 27)}
    elsewhere = {"K13", "S05", "T26"}
    assert {case.id.partition("-")[0] for case in CASES} == rows - elsewhere


@pytest.mark.parametrize("key", [b"general.name", b"qwen2.block_count"], ids=["first entries", "later entries"])
def test_k13_wrong_type_names_expected_and_found(key: bytes, tmp_path: Path) -> None:
    builder = valid_file()
    builder.entry(b"qwen2.block_count").type = I32
    builder.entry(b"qwen2.block_count").value = struct.pack("<i", -1)
    path = tmp_path / "bad.gguf"
    path.write_bytes(builder.build())
    with open_gguf(path) as file:
        found, index = ("string 'tiny'", 2) if key == b"general.name" else ("i32 -1", 3)
        offset = builder.at[f"kv {index} value"]
        with pytest.raises(GgufError, match=f"^bad.gguf: GGUF-K13 at byte {offset}: .* is {found}; expected u32$"):
            file.get(key.decode(), int)
        with pytest.raises(GgufError, match=r"GGUF-K13: metadata key 'no.such' is missing; expected array of string$"):
            file.get("no.such", Strings)


def test_s05_control_bytes_and_bidi_are_accepted_and_escaped_when_shown(tmp_path: Path) -> None:
    name = "a\x00\x1b[31m\u202eb\n"
    builder = valid_file()
    builder.entry(b"general.name").value = string(name.encode())
    path = tmp_path / "name.gguf"
    path.write_bytes(builder.build())
    with open_gguf(path) as file:
        assert file.metadata["general.name"] == name
        with pytest.raises(GgufError) as caught:
            file.get("general.name", int)
    assert str(caught.value).endswith(r"is string 'a\x00\x1b[31m\u202eb\x0a'; expected u32")


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (shift_later_tensors, "64 bytes before tensor 'output_norm.weight' belong to no tensor"),
        (lambda builder: builder.build() + b"payload", "7 bytes after the last tensor belong to no tensor"),
    ],
    ids=["gap", "trailing"],
)
def test_t26_bytes_of_no_tensor_warn_or_are_refused_when_strict(
    change: Callable[[Builder], bytes], warning: str, tmp_path: Path
) -> None:
    path = tmp_path / "gap.gguf"
    path.write_bytes(change(valid_file()))
    with open_gguf(path) as file:
        assert file.warnings == (warning,)
    with pytest.raises(GgufError, match=f"GGUF-T26 .*{warning}"):
        open_gguf(path, strict=True)


@pytest.mark.parametrize(
    ("place", "cap", "value", "code"),
    [
        (strings, "STRING_CAP_BYTES", 4, "S01"),
        (header, "KV_CAP", 8, "H13"),
        (header, "TENSOR_CAP", 2, "H10"),
        (cursor, "HEADER_CAP_BYTES", 600, "H16"),
    ],
    ids=["string", "entries", "tensors", "header"],
)
def test_a_file_over_a_cap_is_inconclusive(
    place: ModuleType, cap: str, value: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real caps need files of 64 MiB and more; here the cap is lowered below what a valid file has."""
    monkeypatch.setattr(place, cap, value)
    builder = valid_file()
    builder.infos[0].name = b"n" * 64
    builder.infos[1].name = b"m" * 64
    path = tmp_path / "large.gguf"
    path.write_bytes(builder.build())
    with pytest.raises(GgufError, match="inconclusive: ") as caught:
        open_gguf(path)
    assert caught.value.code == f"GGUF-{code}"
    assert caught.value.inconclusive


def test_every_truncation_of_a_valid_file_is_refused(tmp_path: Path) -> None:
    """All prefixes, byte by byte; the padding after the last tensor carries no data and may be missing."""
    builder = valid_file()
    raw = builder.build()
    path = tmp_path / "cut.gguf"
    path.write_bytes(raw)
    last = len(raw) - 12
    for length in reversed(range(last)):
        os.truncate(path, length)
        with pytest.raises(GgufError, match=r"^cut.gguf: GGUF-[A-Z]\d\d at byte \d+: ") as caught:
            open_gguf(path)
        assert caught.value.offset is not None
        assert caught.value.offset <= length
    path.write_bytes(raw[:last])
    with open_gguf(path) as file:
        assert file.data("output_norm.weight").view("<f4").tolist() == [0, 1, 2, 3, 4]


def test_every_single_byte_change_is_refused_or_seen() -> None:
    """Every byte, with one bit changed, its complement and some values between; `fuzz_gguf.py --bytes` has all 255."""
    raw = valid_file().build()
    flips = [*(1 << bit for bit in range(8)), 0xFF, 0x55]
    unseen, refused, seen = gguf_flips.unseen(raw, range(len(raw)), flips)
    assert unseen == []
    assert refused + seen == len(raw) * len(flips)
    assert min(refused, seen) > 1000


def test_a_byte_that_is_not_looked_at_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a reader that hides one metadata value and does not read the data."""
    monkeypatch.setattr(gguf_flips, "HIDDEN", frozenset({"qwen2.rope.freq_base"}))
    raw = valid_file().build()
    at = valid_file()
    at.build()
    place = at.at["kv 4 value"]
    unseen, _, _ = gguf_flips.unseen(raw, range(place, place + 2), [1])
    assert unseen == [(place, 1), (place + 1, 1)]
