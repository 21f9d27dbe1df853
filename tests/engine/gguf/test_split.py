"""Models in several files: opened by the first, refused with the reason where they are not one set."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import GgufError
from engine.gguf.identity import identify
from engine.gguf.reader import open_gguf
from support.gguf_builder import I32, STRING, U16, Builder, Entry, Info, string, valid_file


def split_keys(number: int, count: int, tensors: int) -> list[Entry]:
    """The three keys with the types that gguf-split gives them."""
    return [
        Entry(b"split.no", U16, struct.pack("<H", number)),
        Entry(b"split.count", U16, struct.pack("<H", count)),
        Entry(b"split.tensors.count", I32, struct.pack("<i", tensors)),
    ]


def shards() -> list[Builder]:
    """Three files: metadata and one tensor, then one tensor each."""
    whole = valid_file()
    first = Builder(
        [*whole.entries, *split_keys(0, 3, 3)], [Info(b"token_embd.weight", [8, 4], 0, 0)], whole.data[:128]
    )
    second = Builder(split_keys(1, 3, 3), [Info(b"blk.0.attn_q.weight", [256, 2], 12, 0)], whole.data[128:416])
    third = Builder(split_keys(2, 3, 3), [Info(b"output_norm.weight", [5], 0, 0)], whole.data[416:])
    return [first, second, third]


def place(folder: Path, builders: list[Builder]) -> Path:
    for index, builder in enumerate(builders):
        (folder / f"m-{index + 1:05}-of-00003.gguf").write_bytes(builder.build())
    return folder / "m-00001-of-00003.gguf"


def test_a_set_reads_like_the_model_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "whole.gguf").write_bytes(valid_file().build())
    path = place(tmp_path, shards())
    with open_gguf(path, strict=True) as file, open_gguf(tmp_path / "whole.gguf") as whole:
        assert list(file.tensors) == list(whole.tensors)
        for name, info in whole.tensors.items():
            found = file.tensors[name]
            assert (found.type, found.shape, found.size_bytes) == (info.type, info.shape, info.size_bytes)
            assert file.data(name).tobytes() == whole.data(name).tobytes()
        assert {key: str(value) for key, value in whole.metadata.items()}.items() <= {
            key: str(value) for key, value in file.metadata.items()
        }.items()
        assert [other.name for other in file.paths] == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
        assert file.size_bytes == sum(other.stat().st_size for other in file.paths)
        digest = identify(file).file_sha256
        assert identify(file, contents=False).file_sha256 is None
    assert digest == hashlib.sha256(b"".join(builder.build() for builder in shards())).hexdigest()


def test_a_first_file_may_have_no_tensors_and_a_set_one_file(tmp_path: Path) -> None:
    builders = shards()
    builders[1].infos += [Info(b"token_embd.weight", [8, 4], 0, 288)]
    builders[1].data += builders[0].data
    builders[0].infos, builders[0].data = [], b""
    with open_gguf(place(tmp_path, builders)) as file:
        assert file.data("token_embd.weight").view("<f4").ravel().tolist() == list(range(32))
    alone = valid_file()
    alone.entries += split_keys(0, 1, 3)
    (tmp_path / "alone.gguf").write_bytes(alone.build())
    with open_gguf(tmp_path / "alone.gguf") as file:
        assert len(file.tensors) == 3


def set_key(builder: Builder, key: bytes, value: int) -> None:
    entry = builder.entry(key)
    entry.value = struct.pack("<i" if entry.type == I32 else "<H", value)


def other_architecture(builders: list[Builder]) -> None:
    builders[1].entries.insert(0, Entry(b"general.architecture", STRING, string(b"llama")))


CASES: dict[str, tuple[Callable[[list[Builder]], object], str]] = {
    "number too large": (
        lambda b: set_key(b[0], b"split.no", 3),
        "split.no is 3; must be below split.count, which is 3",
    ),
    "65535 files": (
        lambda b: set_key(b[0], b"split.count", 65_535),
        "the file says that it is 1 of 65535; its name says 1 of 3",
    ),
    "out of order": (
        lambda b: b.__setitem__(slice(1, 3), [b[2], b[1]]),
        "m-00002-of-00003.gguf: .* split.no is 2; the set needs 1 here; the set is mixed or out of order",
    ),
    "another set": (lambda b: set_key(b[2], b"split.tensors.count", 9), "split.tensors.count is 9; the set needs 3"),
    "another model": (other_architecture, "'general.architecture' differs from the first file; the set is mixed"),
    "tensor twice": (
        lambda b: setattr(b[2].infos[0], "name", b"blk.0.attn_q.weight"),
        "tensor 'blk.0.attn_q.weight' is also in file 2 of the set",
    ),
    "tensor missing": (
        lambda b: [set_key(builder, b"split.tensors.count", 4) for builder in b],
        "split.tensors.count is 4; the 3 files have 3 tensors",
    ),
    "key missing": (lambda b: b[1].entries.pop(), "metadata key 'split.tensors.count' is missing"),
    "negative": (lambda b: set_key(b[0], b"split.tensors.count", -1), "split.tensors.count is i32 -1; must be a whole"),
    "key of another type": (
        lambda b: b[0].entries.__setitem__(-2, Entry(b"split.count", STRING, string(b"3"))),
        "split.count is string '3'; must be a whole number",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_m13_files_that_are_not_one_set(case: str, tmp_path: Path) -> None:
    change, says = CASES[case]
    builders = shards()
    change(builders)
    with pytest.raises(GgufError, match=says) as caught:
        open_gguf(place(tmp_path, builders))
    assert caught.value.code == "GGUF-M13"


def test_m13_a_file_is_missing(tmp_path: Path) -> None:
    path = place(tmp_path, shards())
    (tmp_path / "m-00003-of-00003.gguf").unlink()
    with pytest.raises(GgufError, match=r"GGUF-M13 .* the set is incomplete: 'm-00003-of-00003.gguf' is not beside"):
        open_gguf(path)


def test_m13_the_first_file_is_asked_for(tmp_path: Path) -> None:
    place(tmp_path, shards())
    with pytest.raises(GgufError, match=r"^m-00002.* is number 2 of 3 files; open 'm-00001-of-00003.gguf'"):
        open_gguf(tmp_path / "m-00002-of-00003.gguf")


def test_m13_a_renamed_file(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(shards()[0].build())
    with pytest.raises(
        GgufError, match=r"does not say which of the 3 files this is; name it model-00001-of-00003.gguf"
    ):
        open_gguf(tmp_path / "model.gguf")


def test_m15_a_later_file_that_changes_is_noticed(tmp_path: Path) -> None:
    with open_gguf(place(tmp_path, shards())) as file:
        with (tmp_path / "m-00003-of-00003.gguf").open("ab") as stream:
            stream.write(b"\0")
        with pytest.raises(GgufError, match=r"^m-00003-of-00003.gguf: GGUF-M15: the model file changed while in use"):
            file.check_unchanged()
