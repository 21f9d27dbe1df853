"""Token ids against those of llama.cpp, for every pre-tokenizer and for SentencePiece's model.

The ids were recorded by tests/harness/tokenizer_golden.py; the vocabularies merge across every boundary, so another
split gives other ids.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex
from tokenizers import Regex, pre_tokenizers

from engine.errors import TokenizerError
from engine.gguf.reader import open_gguf
from engine.tokenizer import Tokenizer
from engine.tokenizer.pretokenizers import PRETOKENIZERS
from support import vocabularies

GOLDEN = json.loads((vocabularies.DATA / "tokenizers" / "golden.json").read_text())["ids"]
NAMES = (*PRETOKENIZERS, vocabularies.SENTENCEPIECE)


BY_CASE = ("tekken", "gpt-4o", "llama4")
"""llama.cpp stands in for their pattern with one that leaves combining marks out of words."""


def has_marks(text: str) -> bool:
    return any(unicodedata.category(character).startswith("M") for character in text)


@pytest.mark.parametrize("name", NAMES)
def test_ids_equal_llama_cpp(name: str, tmp_path: Path) -> None:
    with open_gguf(vocabularies.write(tmp_path / "vocabulary.gguf", name)) as file:
        tokenizer = Tokenizer.from_gguf(file)
    texts = vocabularies.texts(vocabularies.normal_form(name))
    compared = 0
    for text, (plain, special) in zip(texts, GOLDEN[name], strict=True):
        if not (name in BY_CASE and has_marks(text)):
            assert tokenizer.encode(text, special=False) == plain, repr(text)
            assert tokenizer.encode(text, special=True) == special, repr(text)
            compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (
            "tekken",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
            r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        (
            "gpt-4o",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ],
)
def test_pieces_equal_those_of_the_published_pattern(name: str, published: str) -> None:
    """Another regular expression engine runs the pattern as it was published."""
    (pattern,) = PRETOKENIZERS[name].patterns
    ours = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    for text in vocabularies.texts():
        assert [piece for piece, _ in ours.pre_tokenize_str(text)] == regex.findall(published, text), repr(text)


def test_the_record_tells_pre_tokenizers_apart() -> None:
    """Families that split differently got different ids; otherwise equality above would say nothing."""
    by_family: dict[tuple[str, ...], str] = {}
    for name, split in PRETOKENIZERS.items():
        by_family.setdefault((*split.patterns, str(split.ignore_merges)), name)
    ids = {json.dumps(GOLDEN[name]) for name in by_family.values()}
    assert len(ids) == len(by_family) > 10


@pytest.mark.parametrize("name", ["llama-bpe", "tekken", "qwen2", vocabularies.SENTENCEPIECE])
def test_text_comes_back(name: str, tmp_path: Path) -> None:
    with open_gguf(vocabularies.write(tmp_path / "vocabulary.gguf", name)) as file:
        tokenizer = Tokenizer.from_gguf(file)
    for text in vocabularies.texts("NFC"):
        if name == vocabularies.SENTENCEPIECE and ("▁" in text or vocabularies.USER_DEFINED in text):
            continue  # the space's own character, and a space after each added token: there is no way back
        ids = tokenizer.encode(text, special=False)
        assert tokenizer.decode(ids, skip_special=False) == text


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("qwen2", {}, False),
        ("llama-bpe", {}, True),
        ("llama-bpe", {"add_bos_token": False}, False),
        ("llama-bpe", {"bos_token_id": None}, False),
        ("deepseek-llm", {"add_bos_token": True}, True),
        ("sentencepiece", {}, True),
        ("sentencepiece", {"add_bos_token": False}, False),
    ],
)
def test_bos_by_file_and_otherwise_by_kind(name: str, changes: dict[str, Any], expected: bool, tmp_path: Path) -> None:
    with open_gguf(vocabularies.write(tmp_path / "v.gguf", name, **changes)) as file:
        assert Tokenizer.from_gguf(file).vocabulary.add_bos is expected


def test_the_unknown_token_is_a_control_token_and_not_spoken(tmp_path: Path) -> None:
    """Ids and text as llama.cpp in xllamacpp 2026.10.11549 gives them."""
    with open_gguf(vocabularies.write(tmp_path / "v.gguf", vocabularies.SENTENCEPIECE)) as file:
        tokenizer = Tokenizer.from_gguf(file)
    text = "<unk> a <unk>b"
    assert tokenizer.encode(text, special=True) == [0, 509, 744, 0, 526]
    assert tokenizer.encode(text, special=False) == [639, 593, 327, 290, 511, 639, 593, 327, 290, 318]
    assert tokenizer.decode([300, 0, 300]) == "II"
    assert tokenizer.decode([300, 0, 300], skip_special=False) == "I<unk>I"


def test_sentencepiece_without_a_space_in_front(tmp_path: Path) -> None:
    with open_gguf(vocabularies.write(tmp_path / "v.gguf", "sentencepiece", add_space_prefix=False)) as file:
        tokenizer = Tokenizer.from_gguf(file)
    ids = tokenizer.encode("lead", special=False)
    assert not tokenizer.token(ids[0]).startswith("▁")
    assert tokenizer.decode(tokenizer.encode(" lead", special=False)) == " lead"


def test_the_space_before_an_answer_is_the_models_own(tmp_path: Path) -> None:
    """A whole text begins with the space that encoding put there; what continues one does not, as in llama.cpp."""
    with open_gguf(vocabularies.write(tmp_path / "v.gguf", vocabularies.SENTENCEPIECE)) as file:
        tokenizer = Tokenizer.from_gguf(file)
    text = "def f(x):\n    return x"
    ids = tokenizer.encode(text, special=False)
    assert tokenizer.token(ids[0]).startswith("▁")
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, continues=True) == " " + text


def test_sentencepiece_ids_without_names_are_those_it_gives_out(tmp_path: Path) -> None:
    with open_gguf(vocabularies.write(tmp_path / "v.gguf", "sentencepiece")) as file:
        tokenizer = Tokenizer.from_gguf(file)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    assert {2, tokenizer.vocabulary.tokens.index("<|im_end|>")} <= tokenizer.end_ids


def test_characters_outside_a_sentencepiece_vocabulary_become_bytes(tmp_path: Path) -> None:
    with open_gguf(vocabularies.write(tmp_path / "v.gguf", "sentencepiece")) as file:
        tokenizer = Tokenizer.from_gguf(file)
    ids = tokenizer.encode("\U0001fae8", special=False)
    assert [tokenizer.token(index) for index in ids[-4:]] == ["<0xF0>", "<0x9F>", "<0xAB>", "<0xA8>"]
    stream = tokenizer.stream()
    assert [stream.push(index) for index in ids] == ["", "", "", "", "\U0001fae8"]


def _scores(**changed: float) -> list[float]:
    scores = [0.0] * len(vocabularies.sentencepiece()["tokens"])
    for index, score in changed.items():
        scores[int(index[1:])] = score
    return scores


def _tokens(index: int, text: str) -> list[str]:
    tokens = list(vocabularies.sentencepiece()["tokens"])
    tokens[index] = text
    return tokens


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, r"GGUF-M06: tokenizer.ggml.scores is missing; model 'llama' merges by score$"),
        ({"scores": _scores()[:-1]}, r"GGUF-M06: lengths differ: \d+ tokens, \d+ scores$"),
        ({"scores": _scores(i7=float("nan"))}, r"GGUF-M07: score 7 is nan; scores must be finite$"),
        ({"tokens": _tokens(3, "<0xZZ>")}, r"GGUF-M09: 1 of the 256 byte tokens are missing, first '<0x00>'$"),
        ({"tokens": _tokens(3, "<0x-1>")}, r"GGUF-M09: 1 of the 256 byte tokens are missing, first '<0x00>'$"),
        ({"unknown_token_id": 10**6}, r"GGUF-M05: unknown_token_id 1000000 is outside a vocabulary of \d+$"),
    ],
)
def test_a_broken_sentencepiece_vocabulary_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = vocabularies.write(tmp_path / "bad.gguf", "sentencepiece", **changes)
    with open_gguf(path) as file, pytest.raises(TokenizerError, match=r"^bad\.gguf: " + message):
        Tokenizer.from_gguf(file)
