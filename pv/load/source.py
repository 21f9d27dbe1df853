"""The text of a file that was read, and its nodes whenever somebody asks for a place.

A catalog keeps the text of every file, and findings ask for few of them: packed, 4 KB take 1.3.
The nodes of a file take 30 times its size, so they are composed again, for one file after another.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final

from pv.load.composer import compose
from pv.load.nodes import Node
from pv.load.sink import Sink

_FASTEST: Final = 1
"""zlib's level."""


class Source:
    __slots__ = ("_can_be_composed", "_packed")

    def __init__(self, text: str, *, can_be_composed: bool = True) -> None:
        self._packed = zlib.compress(text.encode("utf-8"), _FASTEST)
        self._can_be_composed = can_be_composed

    @property
    def text(self) -> str:
        return zlib.decompress(self._packed).decode("utf-8")

    def nodes(self) -> Node | None:
        """The root; None for a file that cannot be read to its end."""
        return _composed(self) if self._can_be_composed else None


@lru_cache(maxsize=64)
def _composed(source: Source) -> Node | None:
    return compose(source.text, Sink(""))
