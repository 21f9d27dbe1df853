"""The composed file: values as text, each with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pv.load.sink import Span
from pv.schema.location import Location

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the root: ("falsifiers", 0, "test")."""


@dataclass(slots=True)
class Scalar:
    text: str | None
    """None for a plain `null`, `~` or nothing at all."""
    span: Span


@dataclass(slots=True)
class Sequence:
    span: Span
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    span: Span
    entries: dict[str, tuple[Span, Node]] = field(default_factory=dict)
    """Key -> (span of the key, value), in the order of the file."""


Node = Scalar | Sequence | Mapping


def to_data(node: Node) -> Any:
    """dict, list, str and None; nothing is typed yet."""
    if isinstance(node, Mapping):
        return {key: to_data(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, Sequence):
        return [to_data(item) for item in node.items]
    return node.text


def dotted(path: KeyPath) -> str:
    """`falsifiers[0].test`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class SourceMap:
    """Where each key path stands in its file; a path that the file lacks is answered by the nearest one above it."""

    __slots__ = ("_compose", "_path")

    def __init__(self, path: str, compose: Callable[[], Node | None]) -> None:
        """
        Args:
            compose: gives the file's root node, whenever a place is asked for; None if it has none.
        """
        self._path = path
        self._compose = compose

    def __contains__(self, path: KeyPath) -> bool:
        return self._compose() is not None and len(self._walk(path)[1]) == len(path)

    def get(self, path: KeyPath) -> Location:
        """Of the value."""
        return Location(self._path, *self.value_span(path))

    __getitem__ = get

    def key(self, path: KeyPath) -> Location:
        """Of the key; of the entry for an index into a list."""
        return Location(self._path, *self.key_span(path))

    def value_span(self, path: KeyPath) -> Span:
        return self._walk(path)[0].span

    def key_span(self, path: KeyPath) -> Span:
        node, known = self._walk(path)
        if known and isinstance(known[-1], str):
            parent, _ = self._walk(known[:-1])
            assert isinstance(parent, Mapping)
            return parent.entries[known[-1]][0]
        return node.span if known else (1, 1, 1, 1)

    def known(self, path: KeyPath) -> KeyPath:
        """The longest beginning of `path` that the file has."""
        return self._walk(path)[1]

    def _walk(self, path: KeyPath) -> tuple[Node, KeyPath]:
        node = self._compose() or Scalar(None, (1, 1, 1, 1))
        for depth, part in enumerate(path):
            if isinstance(node, Mapping) and isinstance(part, str) and part in node.entries:
                node = node.entries[part][1]
            elif isinstance(node, Sequence) and isinstance(part, int) and 0 <= part < len(node.items):
                node = node.items[part]
            else:
                return node, path[:depth]
        return node, path
