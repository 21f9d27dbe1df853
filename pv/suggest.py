"""Did you mean: the closest word of a known vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# A longer word is not a slip of the finger, and difflib's cost grows with the square of the length.
_LONGEST = 64


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option nearest to `word`, ignoring case and the choice of `-`, `_` or blank; None if none is near."""
    if len(word) > _LONGEST:
        return None
    folded: dict[str, str] = {}
    for option in options:
        folded.setdefault(_fold(option), option)
    # 0.6 is difflib's own threshold: it takes `tolerence` for `tolerance` and leaves `colour` alone.
    matches = get_close_matches(_fold(word), list(folded), n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    match = closest(word, options)
    return f"; did you mean {match!r}?" if match is not None else ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")
