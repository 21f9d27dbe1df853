"""Finding tokens and merging them, against dictionaries and against the merging of the `tokenizers` library."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tokenizers import Tokenizer as Library
from tokenizers import models

from engine.gguf.strings import Strings
from engine.tokenizer import spellings
from engine.tokenizer.merges import NO_MERGES, MergeTable
from engine.tokenizer.spellings import RepeatedTokenError, Spellings

LONG = b"=" * 40
TOKENS = [
    b"a",
    b"b",
    b"ab",
    b"abc",
    "日".encode(),
    LONG,
    LONG + b"a",
    LONG + b"b",
    LONG[:-1] + b"a",
    b"\0",
    b"x" * 5000,
]


def strings(texts: list[bytes]) -> Strings:
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.uint32)
    return Strings(np.frombuffer(b"".join(texts), np.uint8), offsets)


def one_hash(_: object, starts: np.ndarray, __: object) -> np.ndarray:
    return np.zeros(starts.size, np.uint64)


@pytest.mark.parametrize("collide", [False, True], ids=["hashes", "one hash for all"])
def test_tokens_are_found_by_all_their_bytes(collide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every spelling has the same hash, which a file can be made to have."""
    if collide:
        monkeypatch.setattr(spellings, "_hash", one_hash)
    found = Spellings(strings(TOKENS))
    assert found.ids(TOKENS) == list(range(len(TOKENS)))
    others = [b"", b"c", b"abcd", LONG + b"c", LONG + b"aa", b"x" * 4999, b"x" * 5001, b"x" * 4999 + b"y"]
    assert found.ids(others) == [spellings.UNKNOWN] * len(others)
    assert found.ids([]) == []


@pytest.mark.parametrize("collide", [False, True], ids=["hashes", "one hash for all"])
def test_the_first_repeated_token_is_named(collide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if collide:
        monkeypatch.setattr(spellings, "_hash", one_hash)
    with pytest.raises(RepeatedTokenError) as caught:
        Spellings(strings([*TOKENS, b"new", LONG, b"ab", LONG]))
    assert caught.value.args == (len(TOKENS) + 1, TOKENS.index(LONG))


def vocabulary(seed: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Letters, and merges of what was merged before in random order, so that a result may rank before its parts."""
    rng = random.Random(seed)
    tokens, merges = list("abcd"), []
    while len(merges) < 60:
        left, right = rng.choice(tokens), rng.choice(tokens)
        merges.append((left, right))
        if left + right not in tokens:
            tokens.append(left + right)
    rng.shuffle(merges)
    return {token: number for number, token in enumerate(tokens)}, merges


@pytest.mark.parametrize("seed", range(20))
def test_merging_equals_the_library(seed: int) -> None:
    """Pairs that are listed twice are among the merges."""
    ids, merges = vocabulary(seed)
    judge = Library(models.BPE(vocab=ids, merges=merges))
    table = MergeTable(np.array([(ids[left], ids[right], ids[left + right]) for left, right in merges], np.int32))
    rng = random.Random(seed)
    for length in [*range(1, 30), 5000]:
        text = "".join(rng.choices("abcd", k=length))
        assert table.merge([ids[letter] for letter in text]) == judge.encode(text).ids, text


def test_nothing_merges_without_merges() -> None:
    table = MergeTable(NO_MERGES)
    assert table.merge([]) == []
    assert table.merge([3, 3, 1]) == [3, 3, 1]
