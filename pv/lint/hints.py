"""Did you mean, on a budget: each hint is compared with every known name, and a bad merge can ask for thousands."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pv.suggest import did_you_mean

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
            self._given[word] = did_you_mean(word, islice(options, _MAX_OPTIONS))
        return self._given[word]
