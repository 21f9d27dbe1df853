"""Byte pair encoding: text is cut by the `tokenizers` library and merged here.

The library finds added tokens, normalises, splits into pieces and writes each piece as its smallest parts, bytes or
characters. Its own merging would keep 40 MB of spellings and pairs for a vocabulary of 150,000; the arrays of
`Spellings` and `MergeTable` take 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tokenizers import AddedToken, Tokenizer

from engine.tokenizer.merges import MergeTable
from engine.tokenizer.spellings import UNKNOWN, Spellings

_KEPT_PIECES = 8192
_LONGEST_KEPT = 32

Piece = tuple[int, ...]
"""Ids of the smallest parts of a piece of text."""


class BytePairs:
    """An encoder."""

    def __init__(self, cutter: Tokenizer, spellings: Spellings, merges: MergeTable, *, whole_first: bool) -> None:
        """
        Args:
            cutter: tokenizer of the smallest parts, without merges; all its tokens are among the spellings.
            whole_first: a piece that is a token becomes that token, whatever the merges say.
        """
        self._cutter, self._merges = cutter, merges
        self._whole = spellings if whole_first else None
        cut = cutter.get_vocab(with_added_tokens=True)
        parts = [part.encode() for part in sorted(cut, key=lambda part: cut[part])]
        self._ids = spellings.ids(parts)
        self._spelled = dict(zip(self._ids, parts, strict=True)) if whole_first else {}
        self._kept: dict[Piece, list[int]] = {}

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of a text.

        Args:
            special: whether special added tokens are found in it.
        """
        self._cutter.encode_special_tokens = not special
        pieces = list(self._pieces(text))
        found = self._tokens([piece for piece in dict.fromkeys(pieces) if len(piece) > 1 and piece not in self._kept])
        result: list[int] = []
        for piece in pieces:
            result += piece if len(piece) == 1 else found.get(piece) or self._kept[piece]
        if len(self._kept) > _KEPT_PIECES:
            self._kept.clear()
        self._kept.update((piece, tokens) for piece, tokens in found.items() if len(piece) <= _LONGEST_KEPT)
        return result

    def _pieces(self, text: str) -> Iterator[Piece]:
        cut = self._cutter.encode(text, add_special_tokens=False)
        ids, words = [self._ids[number] for number in cut.ids], cut.word_ids
        start = 0
        for end in range(1, len(ids) + 1):
            if end == len(ids) or words[end] != words[start]:
                yield tuple(ids[start:end])
                start = end

    def _tokens(self, pieces: Sequence[Piece]) -> dict[Piece, list[int]]:
        found: dict[Piece, list[int]] = {}
        if self._whole is not None:
            spelled = [b"".join(self._spelled[part] for part in piece) for piece in pieces]
            ids = self._whole.ids(spelled)
            found = {piece: [one] for piece, one in zip(pieces, ids, strict=True) if one != UNKNOWN}
        return {piece: found.get(piece) or self._merges.merge(piece) for piece in pieces}


def add_tokens(cutter: Tokenizer, tokens: Iterable[tuple[str, bool]]) -> None:
    """Make a cutter find tokens in a text before all else.

    Args:
        tokens: texts, and whether each is special; of those that begin alike the longest is found.
    """
    added = [AddedToken(token, special=special, normalized=False) for token, special in tokens]
    if added:
        cutter.add_tokens(added)
