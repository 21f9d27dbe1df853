"""BPE as SentencePiece does it, `tokenizer.ggml.model` 'llama': a space is U+2581, unknown characters become bytes.

The file has a score for each token and no merges: of all pairs of neighbours that form a token, the one with the best
score is merged first. So each way to cut a token in two tokens is a merge, and scores order them.

Source: SentencePiece's bpe_model.cc; convert_slow_tokenizer.py in Hugging Face transformers for the merges; llama.cpp's
llama-vocab.cpp for the space before each stretch of text that follows a control token.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer, models, normalizers

from engine.tokenizer.vocabulary import TokenType, Vocabulary

SPACE = "\u2581"
"""LOWER ONE EIGHTH BLOCK, which stands for a space."""


def build(vocabulary: Vocabulary) -> Tokenizer:
    """The encoder of a vocabulary, without its added tokens."""
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    merges = sorted(_merges(vocabulary, ids), key=lambda merge: -vocabulary.scores[ids[merge[0] + merge[1]]])
    unknown = vocabulary.tokens[vocabulary.special_ids["unknown"]]
    bpe = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    steps: list[normalizers.Normalizer] = [normalizers.Replace(" ", SPACE)]
    if vocabulary.add_space_prefix:
        steps.insert(0, normalizers.Prepend(SPACE))
    bpe.normalizer = normalizers.Sequence(steps)
    return bpe


def _merges(vocabulary: Vocabulary, ids: dict[str, int]) -> Iterator[tuple[str, str]]:
    for token, kind in zip(vocabulary.tokens, vocabulary.types, strict=True):
        if kind in (TokenType.NORMAL, TokenType.UNUSED, TokenType.USER_DEFINED):
            for cut in range(1, len(token)):
                left, right = token[:cut], token[cut:]
                if left in ids and right in ids:
                    yield left, right
