"""Byte-level BPE of a Qwen2 vocabulary in plain Python: normal form C, split by hand, merge by rank.

The split repeats, alternative by alternative, the published expression of the Qwen2 tokenizer:

    (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\\r\\n\\p{L}\\p{N}]?\\p{L}+ | \\p{N} | ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*
    | \\s*[\\r\\n]+ | \\s+(?!\\S) | \\s+

Source: Sennrich et al. 2016 for BPE; bytes_to_unicode of GPT-2 for the byte alphabet.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def _letter(char: str) -> bool:
    return unicodedata.category(char)[0] == "L"


def _number(char: str) -> bool:
    return unicodedata.category(char)[0] == "N"


def _space(char: str) -> bool:
    # Python counts the separators U+001C..U+001F as space, Unicode's White_Space does not.
    return char.isspace() and not "\x1c" <= char <= "\x1f"


def _run(text: str, at: int, kind: str) -> int:
    """End of the run of letters, spaces, newlines or other signs that starts at `at`."""
    while at < len(text):
        char = text[at]
        other = not (_space(char) or _letter(char) or _number(char))
        if not {"letter": _letter(char), "space": _space(char), "newline": char in "\r\n", "other": other}[kind]:
            break
        at += 1
    return at


def _piece_end(text: str, at: int) -> int:
    for ending in _CONTRACTIONS:
        if text[at : at + len(ending)].lower() == ending:
            return at + len(ending)
    lead = at + 1 if not (text[at] in "\r\n" or _letter(text[at]) or _number(text[at])) else at
    if (end := _run(text, lead, "letter")) > lead:
        return end
    if _number(text[at]):
        return at + 1
    signs = at + 1 if text[at] == " " else at
    if (end := _run(text, signs, "other")) > signs:
        return _run(text, end, "newline")
    end = _run(text, at, "space")
    newlines = [i + 1 for i in range(at, end) if text[i] in "\r\n"]
    if newlines:
        return newlines[-1]
    return end if end == len(text) or end == at + 1 else end - 1


def split(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = _piece_end(text, at)
        yield text[at:end]
        at = end


def _alphabet() -> list[str]:
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    table = {byte: chr(byte) for byte in visible} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}
    return [table[byte] for byte in range(256)]


_ALPHABET = _alphabet()


class BytePairs:
    """Encoder of one vocabulary."""

    def __init__(self, tokens: Sequence[str], merges: Sequence[str]) -> None:
        self._ids = {token: index for index, token in enumerate(tokens)}
        self._ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}

    def encode(self, text: str) -> list[int]:
        """Token ids of a text without control tokens."""
        ids = []
        for piece in split(unicodedata.normalize("NFC", text)):
            ids += [self._ids[part] for part in self._merge([_ALPHABET[byte] for byte in piece.encode("utf-8")])]
        return ids

    def _merge(self, parts: list[str]) -> list[str]:
        while len(parts) > 1:
            ranked = [(self._ranks.get((left, right)), n) for n, (left, right) in enumerate(pairwise(parts))]
            known = [(rank, n) for rank, n in ranked if rank is not None]
            if not known:
                break
            best = min(known)[0]
            merged, at = [], 0
            while at < len(parts):
                if at + 1 < len(parts) and self._ranks.get((parts[at], parts[at + 1])) == best:
                    merged.append(parts[at] + parts[at + 1])
                    at += 2
                else:
                    merged.append(parts[at])
                    at += 1
            parts = merged
        return parts
