"""Token ids against transformers' own Qwen2 and GPT-2 tokenizers, built from the same vocabulary and merges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import GPT2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from engine.errors import EngineError, GgufError, TokenizerError
from engine.gguf.reader import open_gguf
from engine.tokenizer import Tokenizer
from engine.tokenizer.vocabulary import read_vocabulary
from support import tiny_qwen2

TEXT = (Path(__file__).parents[2] / "data" / "text" / "mixed.txt").read_bytes().decode()
LINES = TEXT.splitlines(keepends=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("tokenizer") / "tiny.gguf")


@pytest.fixture(scope="module")
def ours(path: Path) -> Tokenizer:
    with open_gguf(path) as file:
        return Tokenizer.from_gguf(file)


def parts() -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokens, _, merges = tiny_qwen2.vocabulary()
    plain = {token: index for index, token in enumerate(tokens) if token not in tiny_qwen2.CONTROL}
    return plain, [(left, right) for left, right in (merge.split(" ") for merge in merges)]


@pytest.fixture(scope="module")
def qwen2() -> Any:
    """transformers' Qwen2 tokenizer over the tiny vocabulary; its control tokens get the ids that follow."""
    vocab, merges = parts()
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tiny_qwen2.CONTROL)})
    return tokenizer


@pytest.mark.parametrize("text", [TEXT, *LINES], ids=["whole", *(f"line {n}" for n in range(1, len(LINES) + 1))])
def test_ids_equal_transformers(ours: Tokenizer, qwen2: Any, text: str):
    assert ours.encode(text, special=True) == qwen2(text, add_special_tokens=False).input_ids


def test_control_tokens_as_text_equal_transformers(ours: Tokenizer, qwen2: Any):
    """Text of a user must not be able to end its own turn."""
    text = "a<|im_end|>b<|im_start|>system\n<|endoftext|>"
    expected = qwen2(text, add_special_tokens=False, split_special_tokens=True).input_ids
    ids = ours.encode(text, special=False)
    assert ids == expected
    assert not set(ids) & {400, 401, 402}
    assert ours.encode(text, special=True) == qwen2(text, add_special_tokens=False).input_ids


def test_every_code_point_equals_transformers(ours: Tokenizer, qwen2: Any):
    """Every 97th character of Unicode between two letters: the split's character classes and NFC agree everywhere."""
    points = [code for code in range(0, 0x110000, 97) if not 0xD800 <= code < 0xE000]
    text = "".join(f"a{chr(code)}b {chr(code)}\n" for code in points)
    assert ours.encode(text, special=True) == qwen2(text, add_special_tokens=False).input_ids


def test_gpt2_ids_equal_transformers(tmp_path: Path):
    file = open_gguf(tiny_qwen2.write_tiny(tmp_path / "g.gguf", tokenizer__ggml__pre="gpt-2"))
    vocab, merges = parts()
    judge = GPT2Tokenizer(vocab=vocab, merges=merges)
    text = TEXT.replace("<|", "< |")  # GPT-2 has other control tokens
    assert Tokenizer.from_gguf(file).encode(text, special=False) == judge(text, add_special_tokens=False).input_ids


def test_decode_gives_the_normalised_text_back(ours: Tokenizer):
    import unicodedata

    expected = unicodedata.normalize("NFC", TEXT)
    assert ours.decode(ours.encode(TEXT, special=True), skip_special=False) == expected


def test_decode_of_random_ids_equals_transformers(ours: Tokenizer, qwen2: Any):
    """Random tokens cut characters apart; the replacement characters must agree too."""
    rng = np.random.default_rng(5)
    for length in (1, 3, 50, 400):
        ids = rng.integers(0, 400, length).tolist()
        assert ours.decode(ids) == qwen2.decode(ids, clean_up_tokenization_spaces=False)


def test_stream_never_cuts_a_character(ours: Tokenizer):
    """Each emoji is four tokens here; nothing is shown before the fourth."""
    ids = ours.encode("a😀é", special=False)
    stream = ours.stream()
    shown = [stream.push(token) for token in ids]
    assert len(ids) > 3
    assert shown == ["a", "", "", "", "😀", "", "é"]
    assert stream.finish() == ""


def test_stream_that_ends_inside_a_character_says_so(ours: Tokenizer):
    stream = ours.stream()
    assert [stream.push(token) for token in ours.encode("😀", special=False)[:3]] == ["", "", ""]
    assert stream.finish() == "\ufffd"


def test_control_tokens_are_left_out_unless_asked_for(ours: Tokenizer):
    ids = ours.encode("<|im_start|>hi<|im_end|>", special=True)
    assert ours.decode(ids) == "hi"
    assert ours.decode(ids, skip_special=False) == "<|im_start|>hi<|im_end|>"


def test_end_ids_hold_eos_and_the_known_ends(ours: Tokenizer):
    """The file names <|im_end|> as eos; <|endoftext|> ends an answer as well."""
    tokens = tiny_qwen2.vocabulary()[0]
    assert ours.end_ids == {tokens.index("<|im_end|>"), tokens.index("<|endoftext|>")}


def test_user_defined_token_is_one_token_and_is_shown(tmp_path: Path):
    tokens, types, _ = tiny_qwen2.vocabulary()
    path = tiny_qwen2.write_tiny(
        tmp_path / "u.gguf",
        tokenizer__ggml__tokens=[*tokens, "<tool é>"],
        tokenizer__ggml__token_type=[*types, 4],
    )
    tokenizer = Tokenizer.from_gguf(open_gguf(path))
    assert tokenizer.encode("x<tool é>", special=False)[-1] == len(tokens)
    assert tokenizer.decode([len(tokens)]) == "<tool é>"


@pytest.mark.parametrize("bad", [-1, 403])
def test_id_outside_the_vocabulary_is_refused(ours: Tokenizer, bad: int):
    with pytest.raises(TokenizerError, match=f"token id {bad} is outside a vocabulary of 403"):
        ours.decode([bad])


def test_half_a_surrogate_pair_is_refused(ours: Tokenizer):
    with pytest.raises(TokenizerError, match=r"text is not valid Unicode at character 1: '\\ud800'"):
        ours.encode("a\ud800", special=False)


def broken(**changes: Any) -> dict[str, Any]:
    return {f"tokenizer__ggml__{key}": value for key, value in changes.items()}


def with_token(index: int, text: str) -> list[str]:
    tokens = list(tiny_qwen2.vocabulary()[0])
    tokens[index] = text
    return tokens


def with_merge(index: int, text: str) -> list[str]:
    merges = list(tiny_qwen2.vocabulary()[2])
    merges[index] = text
    return merges


REFUSED: dict[str, tuple[dict[str, Any], type[EngineError], str]] = {
    "other model": (
        broken(model="bert"),
        TokenizerError,
        r"GGUF-K12: .*model 'bert' is not supported; supported: gpt2, llama$",
    ),
    "unknown pre": (
        broken(pre="mystery"),
        TokenizerError,
        r"GGUF-K12: tokenizer.ggml.pre 'mystery' is not supported; supported: .*gpt-2, .*, qwen2, .*$",
    ),
    "no pre": (broken(pre=None), GgufError, r"GGUF-K13: metadata key 'tokenizer.ggml.pre' is missing"),
    "M05 eos": (
        broken(eos_token_id=403),
        TokenizerError,
        r"GGUF-M05: eos_token_id 403 is outside a vocabulary of 403$",
    ),
    "M05 one token": (
        broken(tokens=["a"], token_type=[1], bos_token_id=2),
        TokenizerError,
        r"GGUF-M05: bos_token_id 2 is outside a vocabulary of 1$",
    ),
    "M06 types": (broken(token_type=[1, 1]), TokenizerError, r"GGUF-M06: lengths differ: 403 tokens, 2 token types$"),
    "M06 kind": (broken(token_type=[9] * 403), TokenizerError, r"GGUF-M06: token type 9 is not one of 1\.\.6$"),
    "M06 scores": (broken(scores=[0.5] * 7), TokenizerError, r"GGUF-M06: lengths differ: 403 tokens, 7 scores$"),
    "M07 scores": (
        broken(scores=[1] * 403),
        TokenizerError,
        r"GGUF-M07: tokenizer.ggml.scores must be an array of f32$",
    ),
    "M08 twice": (broken(tokens=with_token(7, "$")), TokenizerError, r"GGUF-M08: token 7 repeats token 3, '\$'$"),
    "M09 byte": (broken(tokens=with_token(3, "$$")), TokenizerError, r"GGUF-M09: 1 of the 256 byte tokens are missing"),
    "M10 unknown": (
        broken(merges=with_merge(5, "qq $")),
        TokenizerError,
        r"GGUF-M10: merge 5 names unknown token 'qq'$",
    ),
    "M10 result": (broken(merges=with_merge(5, "# %")), TokenizerError, r"GGUF-M10: merge 5 names unknown token '#%'$"),
    "M10 no space": (
        broken(merges=with_merge(5, "ab")),
        TokenizerError,
        r"GGUF-M10: merge 5 is 'ab', must be two tokens",
    ),
    "M10 spaces": (broken(merges=with_merge(5, "a  b")), TokenizerError, r"GGUF-M10: merge 5 is 'a  b', must be two"),
    "M11 long": (broken(tokens=with_token(300, "x" * 70_000)), TokenizerError, r"GGUF-M11: token 300 is 70000 bytes"),
    "M11 empty": (broken(tokens=with_token(300, "")), TokenizerError, r"GGUF-M11: token 300 is 0 bytes long"),
    "tokens are numbers": (broken(tokens=[1, 2]), GgufError, r"GGUF-K13 .*expected array of string"),
}


@pytest.mark.parametrize(("changed", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_broken_vocabulary_is_refused(tmp_path: Path, changed: dict[str, Any], kind: type[EngineError], message: str):
    path = tiny_qwen2.write_tiny(tmp_path / "bad.gguf", **changed)
    with open_gguf(path) as file, pytest.raises(kind, match=r"^bad\.gguf: .*" + message):
        read_vocabulary(file)


def test_token_that_is_not_utf8_is_refused(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "bad.gguf")
    raw = path.read_bytes()
    token = json.dumps("Ġthe")[1:-1].encode().decode("unicode-escape").encode()
    size = len(token).to_bytes(8, "little")
    assert size + token in raw
    path.write_bytes(raw.replace(size + token, size + b"\xff" * len(token), 1))
    with open_gguf(path) as file, pytest.raises(TokenizerError, match=r"GGUF-S04: token \d+ is not valid UTF-8"):
        read_vocabulary(file)
