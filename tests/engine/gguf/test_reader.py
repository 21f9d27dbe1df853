"""Valid files: the judge is the `gguf` package, which writes them and reads them back."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.errors import GgufError
from engine.gguf.identity import identify
from engine.gguf.reader import open_gguf
from engine.gguf.strings import Strings
from engine.gguf.types import GgmlType
from support.gguf_builder import ARRAY, STRING, U64, Builder, Entry, array, string, u32, u64, valid_file

SEED = 20250902
SHAPES = {
    "token_embd.weight": (7, 512),
    "blk.0.attn_q.weight": (3, 256),
    "blk.0.attn_norm.weight": (13,),
    "blk.0.ffn_up_exps.weight": (2, 3, 64),
    "blk.0.scale": (1,),
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file by GGUFWriter with every metadata type and five tensor types."""
    path = tmp_path / "written.gguf"
    rng = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("náme 🦙")
    writer.add_block_count(1)
    writer.add_rope_freq_base(1e6)
    writer.add_uint8("t.u8", 200)
    writer.add_int8("t.i8", -100)
    writer.add_uint16("t.u16", 60_000)
    writer.add_int16("t.i16", -30_000)
    writer.add_int32("t.i32", -(2**31))
    writer.add_uint64("t.u64", 2**64 - 1)
    writer.add_int64("t.i64", -(2**63))
    writer.add_float64("t.f64", 0.1)
    writer.add_bool("t.bool", True)
    writer.add_array("t.ints", [1, -2, 3])
    writer.add_array("t.floats", [0.5, -0.25])
    writer.add_array("t.bools", [True, False, True])
    writer.add_token_list(["<s>", "a", "Ġb", "日本", ""])
    writer.add_token_scores([0.0, -1.0, -2.0, -3.0, -4.0])
    packed = {"blk.0.attn_q.weight": (GgmlType.Q4_K, 144), "blk.0.ffn_up_exps.weight": (GgmlType.Q8_0, 68)}
    for name, shape in SHAPES.items():
        if name in packed:
            type_, row_bytes = packed[name]
            raw = rng.integers(0, 256, (*shape[:-1], row_bytes), dtype=np.uint8)
            writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType(int(type_)))
        else:
            dtype = np.float16 if name == "token_embd.weight" else np.float32
            writer.add_tensor(name, rng.standard_normal(shape).astype(dtype))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def plain(value: object) -> object:
    """Arrays as lists, numpy scalars as Python's."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def test_metadata_equals_what_the_gguf_package_reads(written: Path) -> None:
    theirs = gguf.GGUFReader(written)
    expected = {key: plain(f.contents()) for key, f in theirs.fields.items() if not key.startswith("GGUF.")}
    with open_gguf(written, strict=True) as file:
        assert {key: plain(value) for key, value in file.metadata.items()} == expected
        assert list(file.metadata) == list(expected)
        assert file.metadata_types["t.u8"] == "u8"
        assert file.metadata_types["t.ints"] == "array of i32"
        assert file.metadata_types["tokenizer.ggml.tokens"] == "array of string"
        assert type(file.metadata["t.bool"]) is bool
        assert (file.version, file.alignment, file.warnings) == (3, 32, ())


def test_tensor_table_and_bytes_equal_what_the_gguf_package_reads(written: Path) -> None:
    theirs = gguf.GGUFReader(written)
    with open_gguf(written) as file:
        assert [t.name for t in theirs.tensors] == list(file.tensors)
        for tensor in theirs.tensors:
            info = file.tensors[tensor.name]
            assert info.type.name == tensor.tensor_type.name
            assert info.shape == tuple(reversed(tensor.shape.tolist())) == SHAPES[tensor.name]
            assert (info.offset, info.size_bytes) == (tensor.data_offset, tensor.n_bytes)
            data = file.data(tensor.name)
            assert not data.flags.writeable
            assert data.shape[:-1] == info.shape[:-1]
            assert data.tobytes() == np.ascontiguousarray(tensor.data).tobytes()


def test_typed_access(written: Path) -> None:
    with open_gguf(written) as file:
        assert file.get("qwen2.block_count", int) == 1
        assert file.get("qwen2.rope.freq_base", float) == 1e6
        assert file.get("general.architecture", str) == "qwen2"
        assert file.get("t.bool", bool) is True
        assert file.get("tokenizer.ggml.tokens", Strings)[3] == "日本"
        assert file.get("t.ints", np.ndarray).tolist() == [1, -2, 3]
        assert file.get("no.such", int, default=7) == 7
        with pytest.raises(GgufError, match=r"'t.bool' is bool True; expected u32$"):
            file.get("t.bool", int)
        with pytest.raises(GgufError, match=r"'t.ints' is array of i32 of length 3; expected array of string$"):
            file.get("t.ints", Strings)


def test_version_2_reads_like_version_3(tmp_path: Path) -> None:
    """The layout of both is the same; only version 3 may be big-endian."""
    builder = valid_file()
    builder.version = u32(2)
    path = tmp_path / "v2.gguf"
    path.write_bytes(builder.build())
    with open_gguf(path) as file:
        assert file.version == 2
        assert file.metadata["tokenizer.ggml.tokens"] == ["a", "bc", "", "né"]
        assert file.data("token_embd.weight").view("<f4").ravel().tolist() == list(range(32))


def test_tokens_keep_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    builder = valid_file()
    builder.entry(b"tokenizer.ggml.tokens").value = array(STRING, [string(b"\xe6\x97"), string(b"a")])
    path = tmp_path / "bytes.gguf"
    path.write_bytes(builder.build())
    with open_gguf(path) as file:
        first = file.get("tokenizer.ggml.tokens", Strings)[0]
        assert first.encode("utf-8", "surrogateescape") == b"\xe6\x97"


def test_a_file_may_have_no_tensors(tmp_path: Path) -> None:
    builder = Builder([Entry(b"general.architecture", STRING, string(b"qwen2"))], [], b"")
    path = tmp_path / "vocabulary.gguf"
    path.write_bytes(builder.build())
    with open_gguf(path, strict=True) as file:
        assert dict(file.tensors) == {}


def test_other_tensor_types_open_when_asked_for(tmp_path: Path) -> None:
    builder = valid_file()
    builder.infos[1].type = int(GgmlType.IQ4_NL)
    path = tmp_path / "iq4_nl.gguf"
    path.write_bytes(builder.build())
    with pytest.raises(GgufError, match=r"GGUF-T18 .* tensor 'blk.0.attn_q.weight' is IQ4_NL; "):
        open_gguf(path)
    with open_gguf(path, types=tuple(GgmlType)) as file:
        assert file.data("blk.0.attn_q.weight").shape == (2, 256 // 32 * 18)


def test_large_vocabulary_reads_fast(tmp_path: Path) -> None:
    """150,000 tokens as in real models, and as many merges; measured 0.1 s on a core of 2023."""
    count = 150_000
    entries = valid_file().entries[:1]
    texts = array(STRING, [string(b"token%d" % index) for index in range(count)])
    entries.append(Entry(b"tokenizer.ggml.tokens", ARRAY, texts))
    entries.append(Entry(b"tokenizer.ggml.merges", ARRAY, texts))
    entries.append(Entry(b"t.last", ARRAY, array(U64, [u64(5)])))
    path = tmp_path / "large.gguf"
    path.write_bytes(Builder(entries, [], b"").build())
    start = time.perf_counter()
    with open_gguf(path) as file:
        elapsed = time.perf_counter() - start
        tokens = file.get("tokenizer.ggml.tokens", Strings)
        assert (len(tokens), tokens[0], tokens[-1]) == (count, "token0", f"token{count - 1}")
        assert file.get("t.last", np.ndarray).tolist() == [5]
    assert elapsed < 1.0, f"took {elapsed:.3f} s"


def test_data_outlives_the_file_object(written: Path) -> None:
    with open_gguf(written) as file:
        data = file.data("blk.0.attn_q.weight")
        expected = data.tobytes()
    assert data.tobytes() == expected
    with pytest.raises(GgufError, match="the file is closed"):
        file.data("blk.0.attn_q.weight")


@pytest.mark.parametrize("change", ["grow", "replace", "remove"])
def test_m15_a_changed_file_is_noticed(written: Path, change: str) -> None:
    with open_gguf(written) as file:
        file.check_unchanged()
        if change == "grow":
            with written.open("ab") as stream:
                stream.write(b"\0")
        elif change == "replace":
            copy = written.with_suffix(".new")
            copy.write_bytes(written.read_bytes())
            copy.replace(written)
        else:
            written.unlink()
        with pytest.raises(GgufError, match=r"GGUF-M15: the model file (changed|was removed) while in use"):
            file.check_unchanged()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: os.utime(path, ns=(0, 0)), "it was written to"),
        (lambda path: os.truncate(path, 4096), "it has 4096 bytes, and had 9088"),
        (lambda path: shutil.copy(path, path.with_suffix(".new")).replace(path), "another file has its name"),
    ],
    ids=["time", "size", "inode"],
)
def test_m15_names_what_changed(written: Path, change: Callable[[Path], object], says: str) -> None:
    with open_gguf(written) as file:
        change(written)
        with pytest.raises(GgufError, match=f"^{written.name}: GGUF-M15: the model file changed while in use: {says}"):
            file.check_unchanged()


def test_what_is_not_a_readable_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name, says in (("fifo", "not a regular file"), ("folder", "not a regular file"), ("none", "no such file")):
        with pytest.raises(GgufError, match=f"^{name}: GGUF-F01: .*{says}"):
            open_gguf(tmp_path / name)
    with pytest.raises(GgufError, match=r"^a\\x00b: GGUF-F01: cannot open the file"):
        open_gguf("a\0b")


def test_identity_says_what_differs(tmp_path: Path) -> None:
    """Each change moves the digests it should and no other."""

    def identity(builder: Builder, name: str) -> dict[str, object]:
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(builder.build())
        with open_gguf(path) as file:
            found = identify(file)
        assert found.file_sha256 == hashlib.sha256(builder.build()).hexdigest()
        return {key: getattr(found, f"{key}_sha256") for key in ("file", "tensors", "tokenizer", "template")}

    template = Entry(b"tokenizer.chat_template", STRING, string("{{ 'né' }}".encode()))
    base = valid_file()
    base.entries.append(template)
    tokens, weights, table, chat = valid_file(), valid_file(), valid_file(), valid_file()
    for builder in (tokens, weights, table):
        builder.entries.append(template)
    chat.entries.append(Entry(template.key, STRING, string(b"{{ 'ne' }}")))
    tokens.entry(b"tokenizer.ggml.tokens").value = array(STRING, [string(b) for b in (b"ab", b"c", b"", "né".encode())])
    weights.data = b"\x01" + weights.data[1:]
    table.infos[2].name = b"other"
    original = identity(base, "base")
    assert original["template"] == hashlib.sha256("{{ 'né' }}".encode()).hexdigest()
    moved = {
        name: {key for key, value in identity(builder, name).items() if value != original[key]}
        for name, builder in (("tokens", tokens), ("weights", weights), ("table", table), ("chat", chat))
    }
    assert moved == {
        "tokens": {"file", "tokenizer"},
        "weights": {"file"},
        "table": {"file", "tensors"},
        "chat": {"file", "template"},
    }


def test_identity_counts_tensors_by_type(written: Path) -> None:
    with open_gguf(written) as file:
        found = identify(file)
    assert found.tensor_types == {"F16": 1, "F32": 2, "Q4_K": 1, "Q8_0": 1}
    assert found.tensor_bytes == {"F16": 7168, "F32": 56, "Q4_K": 432, "Q8_0": 408}
    assert found.template_sha256 is None
