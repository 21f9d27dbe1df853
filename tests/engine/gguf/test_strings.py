"""Arrays of strings against the lists that they were written from."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.errors import GgufError
from engine.gguf.reader import open_gguf
from engine.gguf.strings import Strings
from support.gguf_builder import ARRAY, STRING, Builder, Entry, array, string, valid_file

KEY = b"t.texts"


def write(path: Path, texts: list[bytes], key: bytes = KEY) -> Builder:
    builder = Builder(
        [*valid_file().entries[:1], Entry(key, ARRAY, array(STRING, [string(text) for text in texts]))], [], b""
    )
    path.write_bytes(builder.build())
    return builder


def mixed(seed: int, count: int) -> list[bytes]:
    """Strings of all kinds: empty, with zero bytes, as long as a length byte can say and longer."""
    rng = random.Random(seed)
    kinds = (b"", b"\0", b"\0" * 9, b"a", "né日😀".encode(), b"token", b"x" * 255, b"y" * 256, b"z" * 70_000)
    return rng.choices(kinds, weights=(2, 2, 2, 30, 30, 60, 2, 2, 0.2), k=count)


ARRAYS = {
    "none": [],
    "one": [b"one"],
    "empty ones": [b""] * 1000,
    "zero bytes": [b"\0" * length for length in range(40)] * 5,
    "like lengths": [b"\5\0\0\0\0\0\0\0abcde", b"\0\0\0\0\0\0\0", b"a\1\0\0\0\0\0\0\0"] * 50,
    "long ones": [b"x" * length for length in (255, 256, 257, 511, 65_535, 65_536, 300_000, 3)],
    "vocabulary": [b"t%d" % number for number in range(50_000)],
    **{f"mixed {seed}": mixed(seed, 6000) for seed in range(4)},
}


@pytest.mark.parametrize("texts", ARRAYS.values(), ids=ARRAYS)
def test_strings_are_those_written(texts: list[bytes], tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", texts)
    with open_gguf(tmp_path / "m.gguf") as file:
        strings = file.get(KEY.decode(), Strings)
    assert list(strings.each()) == texts
    assert strings == [text.decode() for text in texts]
    assert len(strings) == len(texts)


def test_strings_are_a_sequence_of_text(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", [b"a", b"", "日本".encode(), b"b"])
    with open_gguf(tmp_path / "m.gguf") as file:
        strings = file.get(KEY.decode(), Strings)
    assert (strings[0], strings[2], strings[-1], strings[1:3]) == ("a", "日本", "b", ["", "日本"])
    assert (strings.index("日本"), "b" in strings, "c" in strings, repr(strings)) == (
        2,
        True,
        False,
        "['a', '', '日本', 'b']",
    )
    assert strings != ["a", "", "日本"]
    with pytest.raises(IndexError):
        strings[4]


@pytest.mark.parametrize(
    ("texts", "bad", "byte"),
    [
        ([b"a", b"b\xff"], 1, 1),
        ([b"a", "日".encode()[:2], "日".encode()[2:]], 1, 0),
        ([b"", "日".encode()[:2], b"", "日".encode()[2:]], 1, 0),
        ([b"ok"] * 40_000 + [b"\x80"], 40_000, 0),
        ([b"\xed\xa0\x80"], 0, 0),
    ],
    ids=["one byte", "a character over two", "over an empty one", "the last of many", "half a surrogate pair"],
)
def test_the_first_string_that_is_not_utf8_is_named(texts: list[bytes], bad: int, byte: int, tmp_path: Path) -> None:
    """Two strings may be valid together and not each by itself."""
    write(tmp_path / "m.gguf", texts)
    raw = (tmp_path / "m.gguf").read_bytes()
    start = raw.index(KEY) + len(KEY) + 4 + 4 + 8
    offset = start + sum(8 + len(text) for text in texts[:bad]) + 8 + byte
    with pytest.raises(GgufError, match=rf"string {bad} of array 't.texts' is not valid UTF-8") as caught:
        open_gguf(tmp_path / "m.gguf")
    assert (caught.value.code, caught.value.offset) == ("GGUF-S04", offset)


def test_a_length_beyond_the_file_is_refused_where_it_stands(tmp_path: Path) -> None:
    texts = [string(b"t%d" % number) for number in range(500)]
    texts[300] = string(b"t300", length=1 << 40)
    builder = Builder([*valid_file().entries[:1], Entry(KEY, ARRAY, array(STRING, texts))], [], b"")
    (tmp_path / "m.gguf").write_bytes(builder.build())
    with pytest.raises(
        GgufError, match=r"length of string 300 of array 't.texts' is 1099511627776; the file has"
    ) as caught:
        open_gguf(tmp_path / "m.gguf")
    assert caught.value.code == "GGUF-A07"
