"""M01 to M15 of the corpus of malformations: a well-formed GGUF file that is no model, or stops being one.

Each is a tiny valid model with one thing changed, and is refused with its code, in little time and memory. The rows of
the container, H01 to T26, are in tests/engine/gguf/test_malformed.py.
"""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import EngineError
from engine.gguf.types import GgmlType
from engine.llm import Llm
from support import tiny_qwen2, vocabularies
from support.tiny_qwen2 import Shape

MAX_SECONDS = 1.0
MAX_BYTES = 32 * 1024 * 1024
Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Case:
    """A way to write a bad model, and what must come of it."""

    id: str
    make: Make
    says: str


def meta(**changed: Any) -> Make:
    """Metadata replaced, as `tiny_qwen2.write_tiny` takes it."""
    return lambda folder: tiny_qwen2.write_tiny(folder / "m.gguf", **changed)


def vocab(**changed: Any) -> Make:
    return meta(**{f"tokenizer__ggml__{key}": value for key, value in changed.items()})


def token(index: int, text: str) -> list[str]:
    tokens = list(tiny_qwen2.vocabulary()[0])
    tokens[index] = text
    return tokens


def merge(text: str) -> list[str]:
    return [*tiny_qwen2.vocabulary()[2][:5], text]


def tensors(**changed: Any) -> Make:
    """Tensors replaced or, with None, left out; '.' written as '__'."""

    def make(folder: Path) -> Path:
        found: dict[str, Any] = {
            **tiny_qwen2.random_tensors(Shape()),
            **{name.replace("__", "."): tensor for name, tensor in changed.items()},
        }
        found = {name: tensor for name, tensor in found.items() if tensor is not None}
        return tiny_qwen2.write_gguf(folder / "m.gguf", found, tiny_qwen2.metadata(Shape()))

    return make


def sentencepiece(index: int, text: str) -> Make:
    tokens = list(vocabularies.sentencepiece()["tokens"])
    tokens[index] = text

    def make(folder: Path) -> Path:
        values = tiny_qwen2.metadata(Shape())
        for name in ("pre", "merges", "eos_token_id", "bos_token_id"):
            del values[f"tokenizer.ggml.{name}"]
        found = {**vocabularies.sentencepiece(), "tokens": tokens, "model": "llama"}
        values |= {f"tokenizer.ggml.{name}": value for name, value in found.items()}
        return tiny_qwen2.write_gguf(folder / "m.gguf", tiny_qwen2.random_tensors(Shape()), values)

    return make


def many_merges(folder: Path) -> Path:
    """10 million merges that are really there."""
    path = tiny_qwen2.write_tiny(folder / "m.gguf", tokenizer__ggml__merges=["QQ QQ"])
    before, _, after = path.read_bytes().partition(struct.pack("<QQ", 1, 5) + b"QQ QQ")
    with path.open("wb") as out:
        out.write(before + struct.pack("<Q", 10_000_000))
        for _ in range(10):
            out.write((struct.pack("<Q", 3) + b"a b") * 1_000_000)
        out.write(after)
    return path


def template_not_utf8(folder: Path) -> Path:
    path = tiny_qwen2.write_tiny(folder / "m.gguf", tokenizer__chat_template="QQQQ")
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"QQ\xffQ"))
    return path


def split(change: Callable[[list[Path]], Path | None]) -> Make:
    """A model in several files, of which something happens to the list."""

    def make(folder: Path) -> Path:
        values = tiny_qwen2.metadata(Shape())
        tiny_qwen2.write_gguf(folder / "m.gguf", tiny_qwen2.random_tensors(Shape()), values, tensors_per_file=10)
        files = sorted(folder.glob("m-*.gguf"))
        return change(files) or files[0]

    return make


def key_of_first_file(key: bytes, value: int) -> Callable[[list[Path]], None]:
    def change(files: list[Path]) -> None:
        raw = files[0].read_bytes()
        at = raw.index(key) + len(key) + 4
        files[0].write_bytes(raw[:at] + struct.pack("<H", value) + raw[at + 2 :])

    return change


def of_another_model(files: list[Path]) -> None:
    raw = files[1].read_bytes()
    files[1].write_bytes(raw.replace(b"blk.1.", b"blk.0."))


def scales(half: int | None) -> Make:
    """A Q4_K model with one float16 scale replaced, or with all blocks of one tensor zero."""

    def make(folder: Path) -> Path:
        shape = Shape(hidden=256, heads=4, kv_heads=4, ffn=256, layers=1)

        def encode(_: GgmlType, tensor: Any) -> Any:
            raw = np.zeros((len(tensor), tensor.shape[1] // 256 * 144), np.uint8)
            raw[:, :2] = np.array([0.01], "<f2").view(np.uint8)
            if len(tensor) == 256 and half is None:
                raw[:, :2] = 0
            elif half is not None:
                raw[12, :2] = np.array([half], "<u2").view(np.uint8)
            return raw

        return tiny_qwen2.write_gguf(
            folder / "m.gguf", tiny_qwen2.random_tensors(shape), tiny_qwen2.metadata(shape),
            type_of=lambda name: GgmlType.Q4_K if "ffn_up" in name else GgmlType.F32, encode=encode,
        )  # fmt: skip

    return make


CASES = [
    Case("M01-none", meta(qwen2__block_count=0), "qwen2.block_count is 0"),
    Case("M01-sign", meta(qwen2__block_count=2**32 - 1), "qwen2.block_count is 4294967295"),
    Case("M01-more", meta(qwen2__block_count=513), "qwen2.block_count says 513, tensors exist for 2"),
    Case("M02-heads", meta(qwen2__attention__head_count=0), "head_count is 0"),
    Case("M02-kv", meta(qwen2__attention__head_count_kv=0), "head_count_kv is 0"),
    Case("M02-multiple", meta(qwen2__attention__head_count_kv=3), "must be a multiple of head_count_kv, 3"),
    Case("M03", meta(qwen2__embedding_length=64), r"says 64, the shape of 'token_embd.weight' is \(403, 32\)"),
    Case("M04", tensors(blk__1__attn_q__weight=None), "missing tensor 'blk.1.attn_q.weight'"),
    Case(
        "M05-one-token",
        vocab(tokens=["a"], token_type=[1], bos_token_id=2),
        "bos_token_id 2 is outside a vocabulary of 1",
    ),
    Case("M05-eos", vocab(eos_token_id=403), "eos_token_id 403 is outside a vocabulary of 403"),
    Case("M06-scores", vocab(scores=[0.5] * 402), "lengths differ: 403 tokens, 402 scores"),
    Case("M06-types", vocab(token_type=[1] * 402), "lengths differ: 403 tokens, 402 token types"),
    Case("M07", vocab(scores=[1] * 403), "tokenizer.ggml.scores must be an array of f32"),
    Case("M08", vocab(tokens=token(7, "$")), r"token 7 repeats token 3, '\$'"),
    Case("M09-fewer", vocab(tokens=token(3, "$$")), "1 of the 256 byte tokens are missing"),
    Case("M09-sign", sentencepiece(3, "<0x-1>"), "1 of the 256 byte tokens are missing, first '<0x00>'"),
    Case("M09-digits", sentencepiece(3, "<0xZZ>"), "1 of the 256 byte tokens are missing, first '<0x00>'"),
    Case("M10-unknown", vocab(merges=merge("qq $")), "merge 5 names unknown token 'qq'"),
    Case("M10-no-space", vocab(merges=merge("ab")), "merge 5 is 'ab', must be two tokens"),
    Case("M10-many", many_merges, "is 10000000; a vocabulary has at most 4194304"),
    Case("M11", vocab(tokens=token(300, "x" * 100_000_000)), "string 300 .* is 100000000; a token has at most 65536"),
    Case("M11-short", vocab(tokens=token(300, "x" * 70_000)), "token 300 is 70000 bytes long, must be 1..65536"),
    Case("M12-long", meta(tokenizer__chat_template="x" * (10 << 20)), "is 10485760; template refused"),
    Case("M12-syntax", meta(tokenizer__chat_template="a\n{% if %}"), "chat template refused: line 2: TemplateSyntax"),
    Case("M12-two", meta(tokenizer__chat_template__default="other"), "template refused: .* differ"),
    Case("M13-one-file", split(lambda files: files[1].rename(files[1].with_name("gone")) and None), "is incomplete"),
    Case("M13-number", split(key_of_first_file(b"split.no", 9)), "split.no is 9; must be below split.count"),
    Case("M13-count", split(key_of_first_file(b"split.count", 65535)), "its name says 1 of"),
    Case("M13-mixed", split(of_another_model), "the set is mixed"),
    Case("M14-nan", scales(0x7E00), "tensor 'blk.0.ffn_up.weight': block 12 has a non-finite scale"),
    Case("M14-infinite", scales(0x7C00), "block 12 has a non-finite scale"),
    Case("M14-zero", scales(None), "the scales of all 256 blocks are zero"),
    Case("M14-plain", tensors(blk__1__attn_k__bias=np.full(16, np.inf, np.float32)), "weight 0 is not finite"),
]


def answer(path: Path) -> str:
    with Llm.load(path, backend="reference") as llm:
        return llm.generate("hi", max_tokens=1).text


def refusal(path: Path, code: str, says: str) -> None:
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(EngineError, match=rf"^m(-\d+-of-\d+)?\.gguf: GGUF-{code}\b[^\n]*{says}") as caught:
            answer(path)
        elapsed = time.process_time() - start
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert elapsed < MAX_SECONDS, f"took {elapsed:.3f} s"
    assert peak < MAX_BYTES, f"took {peak} bytes"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_malformed_model_is_refused(case: Case, tmp_path: Path) -> None:
    refusal(case.make(tmp_path), case.id.partition("-")[0], case.says)


def test_m12_template_that_is_not_utf8(tmp_path: Path) -> None:
    """A rule of all strings."""
    refusal(template_not_utf8(tmp_path), "S04", "string 'tokenizer.chat_template' has byte 0xff")


def test_m15_file_changes_between_loading_and_asking(tmp_path: Path) -> None:
    path = tiny_qwen2.write_tiny(tmp_path / "m.gguf")
    with Llm.load(path, backend="reference") as llm:
        llm.generate("hi", max_tokens=1)
        path.write_bytes(path.read_bytes()[:4096])
        with pytest.raises(EngineError, match=r"^m\.gguf: GGUF-M15: the model file changed while in use: it has 4096"):
            llm.generate("hi", max_tokens=1)


def test_every_row_of_the_table_is_here() -> None:
    assert {case.id.partition("-")[0] for case in CASES} | {"M15"} == {f"M{n:02}" for n in range(1, 16)}


def test_m04_an_unused_tensor_is_named(tmp_path: Path) -> None:
    """The other half of the row: it changes no answer, so it is a warning."""
    with Llm.load(tensors(blk__0__extra=np.ones(4, np.float32))(tmp_path), backend="reference") as llm:
        assert llm.model.unused_tensors == ("blk.0.extra",)
