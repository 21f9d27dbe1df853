"""Did you mean, for ids: on a budget, and only for slips of the finger.

Ids of one project share most of their letters (FALSIFY-...-001), so a likeness that is enough for words says nothing
here; and each hint is compared with every known name, while a bad merge can ask for thousands.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

from pv.suggest import closest

_MAX_WORDS = 20
_MAX_OPTIONS = 2000


class Hints:
    """For one rule in one run; the words after the first twenty different ones get no hint."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def __call__(self, word: str, options: Iterable[str]) -> str:
        """`; did you mean 'x'?`, or nothing; the first answer for a word stands."""
        if word not in self._given:
            if len(self._given) >= _MAX_WORDS:
                return ""
            match = closest(word, sorted(options)[:_MAX_OPTIONS])
            is_slip = match is not None and _unmatched(word, match) <= max(2, len(word) // 5)
            self._given[word] = f"; did you mean {match!r}?" if is_slip else ""
        return self._given[word]


def _unmatched(left: str, right: str) -> int:
    """Letters of either that the other lacks; two swapped letters count as two."""
    matched = sum(block.size for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks())
    return len(left) + len(right) - 2 * matched
