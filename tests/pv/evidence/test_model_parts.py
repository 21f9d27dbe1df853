"""Parts of a model's file: each changes with what it is named after, and with nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pv.evidence.fingerprint import Fingerprint
from pv.evidence.model_parts import model_parts
from support.gguf_builder import ARRAY, STRING, U32, Builder, Entry, array, string, u32, u64, valid_file


def model() -> Builder:
    builder = valid_file()
    builder.entries += [
        Entry(b"tokenizer.ggml.merges", ARRAY, array(STRING, [string(b"a b"), string(b"b c")])),
        Entry(b"tokenizer.chat_template", STRING, string(b"{{ messages }}")),
    ]
    return builder


def write(path: Path, builder: Builder) -> Path:
    path.write_bytes(builder.build())
    return path


def rename(builder: Builder) -> None:
    builder.infos[0].name = b"token_embd.weighs"


def retype(builder: Builder) -> None:
    builder.infos[0].type = 1


def another_token(builder: Builder) -> None:
    tokens = [string(text) for text in (b"a", b"bc", b"", b"z")]
    builder.entry(b"tokenizer.ggml.tokens").value = array(STRING, tokens)


def another_bos(builder: Builder) -> None:
    builder.entry(b"tokenizer.ggml.add_bos_token").value = b"\0"


def another_template(builder: Builder) -> None:
    builder.entry(b"tokenizer.chat_template").value = string(b"{{ messages  }}")


def without_template(builder: Builder) -> None:
    del builder.entries[-1]


def another_weight(builder: Builder) -> None:
    builder.data = b"\1" + builder.data[1:]


def another_name(builder: Builder) -> None:
    builder.entry(b"general.name").value = string(b"giant")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (rename, {"tensor table"}),
        (retype, {"tensor table"}),
        (another_token, {"tokenizer"}),
        (another_bos, {"tokenizer"}),
        (another_template, {"template"}),
        (without_template, {"template"}),
        (another_weight, set()),
        (another_name, set()),
    ],
)
def test_a_part_changes_with_what_it_is_named_after(
    change: Callable[[Builder], None], changed: set[str], tmp_path: Path
) -> None:
    before = model_parts(write(tmp_path / "a.gguf", model()))
    builder = model()
    change(builder)
    after = model_parts(write(tmp_path / "b.gguf", builder))
    assert set(before) == {"tensor table", "tokenizer", "template"}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == changed


def test_digests_are_of_the_bytes_of_the_header(tmp_path: Path) -> None:
    builder = model()
    raw = builder.build()
    at = builder.at
    entry = raw[at["kv 10 key"] : at["tensor 0 name"]]
    assert entry.endswith(b"{{ messages }}")
    parts = model_parts(write(tmp_path / "a.gguf", builder))
    assert parts["template"] == hashlib.sha256(entry).hexdigest()
    assert parts["tensor table"] == hashlib.sha256(raw[at["tensor 0 name"] : at["padding"]]).hexdigest()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GGUF",
        b"PK\3\4" + bytes(100),
        b"GGUF" + u32(1) + u64(0) + u64(0),
        b"GGUF" + u32(3) + u64(2**63) + u64(0),
        b"GGUF" + u32(3) + u64(0) + u64(2**63),
        b"GGUF" + u32(3) + u64(0) + u64(1) + u64(2**64 - 1) + b"k",
        b"GGUF" + u32(3) + u64(0) + u64(1) + string(b"k") + u32(99),
        b"GGUF" + u32(3) + u64(0) + u64(1) + string(b"k") + u32(ARRAY) + u32(U32) + u64(2**62),
        b"GGUF" + u32(3) + u64(0) + u64(1) + string(b"k") + u32(ARRAY) + u32(ARRAY) + u64(1),
    ],
)
def test_a_file_that_is_no_sound_gguf_has_no_parts(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(raw)
    assert model_parts(path) == {}


def test_what_is_stale_names_the_part() -> None:
    before = {"model": {"file": "1", "tokenizer": "2", "template": "3"}}
    now = Fingerprint({"model": {"file": "9", "tokenizer": "8", "template": "3"}, "schema": {"evidence": "1"}})
    assert "model (file, tokenizer)" in now.changes(before)
    assert "schema (not recorded)" in now.changes(before)
    assert now.changes({**now.files, "schema": {"evidence": "0"}})[-1] == "schema (evidence)"
