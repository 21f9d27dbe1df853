"""BPE as SentencePiece does it, `tokenizer.ggml.model` 'llama': a space is U+2581, unknown characters become bytes.

The file has a score for each token and no merges: of all pairs of neighbours that form a token, the one with the best
score is merged first. So each way to cut a token in two tokens is a merge, and scores order them.

Source: SentencePiece's bpe_model.cc; convert_slow_tokenizer.py in Hugging Face transformers for the merges; llama.cpp's
llama-vocab.cpp for the space before each stretch of text that follows a control token.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers

from engine.tokenizer.merges import NO_MERGES, Merges
from engine.tokenizer.spellings import UNKNOWN
from engine.tokenizer.stream import byte_token
from engine.tokenizer.vocabulary import TokenType, Vocabulary

SPACE = "\u2581"
"""LOWER ONE EIGHTH BLOCK, which stands for a space."""
_MERGED = (TokenType.NORMAL, TokenType.UNUSED, TokenType.USER_DEFINED)
_TOKENS_AT_ONCE = 1 << 14


def cutter(vocabulary: Vocabulary) -> Tokenizer:
    """What cuts a text into characters, and those that are no token into bytes; without added tokens."""
    unknown = vocabulary.tokens[vocabulary.special_ids["unknown"]]
    parts = dict.fromkeys([unknown, *map(byte_token, range(256)), *_characters(vocabulary)])
    ids = {part: number for number, part in enumerate(parts)}
    made = Tokenizer(
        models.BPE(vocab=ids, merges=[], cache_capacity=0, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    steps: list[normalizers.Normalizer] = [normalizers.Replace(" ", SPACE)]
    if vocabulary.add_space_prefix:
        steps.insert(0, normalizers.Prepend(SPACE))
    made.normalizer = normalizers.Sequence(steps)
    return made


def _characters(vocabulary: Vocabulary) -> list[str]:
    """Tokens of one character."""
    tokens = vocabulary.tokens
    begins = (tokens.raw & 0xC0) != 0x80
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(begins)])
    return [tokens[index] for index in np.flatnonzero(np.diff(before[tokens.offsets]) == 1).tolist()]


def merges(vocabulary: Vocabulary) -> Merges:
    """Every way to cut a token in two, best score first."""
    count = len(vocabulary.tokens)
    found = [
        _cuts(vocabulary, first, min(count, first + _TOKENS_AT_ONCE)) for first in range(0, count, _TOKENS_AT_ONCE)
    ]
    unordered = np.concatenate([NO_MERGES, *found])
    scores = np.asarray(vocabulary.scores, np.float32)
    return unordered[np.argsort(-scores[unordered[:, 2]], kind="stable")]


def _cuts(vocabulary: Vocabulary, first: int, last: int) -> Merges:
    """Merges that end in tokens first .. last - 1, in order."""
    raw, offsets = vocabulary.tokens.raw, vocabulary.tokens.offsets[first : last + 1].astype(np.int64)
    here = raw[offsets[0] : offsets[-1]]
    at: npt.NDArray[np.int64] = np.flatnonzero((here & 0xC0) != 0x80) + offsets[0]
    token = np.searchsorted(offsets, at, "right") - 1
    inside = (at > offsets[token]) & np.isin(vocabulary.types[first:last][token], _MERGED)
    at, token = at[inside], token[inside]
    left = vocabulary.spellings.find(raw, offsets[token], at - offsets[token])
    at, token, left = at[left != UNKNOWN], token[left != UNKNOWN], left[left != UNKNOWN]
    right = vocabulary.spellings.find(raw, at, offsets[token + 1] - at)
    whole = right != UNKNOWN
    return np.stack([left[whole], right[whole], (token[whole] + first).astype(np.int32)], axis=1)
