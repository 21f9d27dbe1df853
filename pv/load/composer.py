"""Text to nodes, from the parser's events.

Both parsers keep their state on a heap stack and hand out one event at a time, so nesting is counted while the events
come and reading stops at the limit. PyYAML's own composers recurse instead: its C composer ends in a segmentation
fault on 30 KB of nesting. The C parser looks at most 1024 characters ahead, whatever the file holds.

Only what a contract needs is composed: text, lists, mappings with unique text keys; one document, no anchors,
no tags, no merge keys.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError

from pv.load.layout import Layout
from pv.load.nodes import Mapping, Node, Scalar, Sequence, dotted
from pv.load.sink import Sink, Span
from pv.load.syntax import explain_syntax
from pv.load.text import shorten

MAX_DEPTH: Final = 32
MAX_NODES: Final = 20_000
"""Keys, values, lists and mappings together; a contract of 4 KB has about 400."""
MAX_KEY: Final = 1024
"""Characters; YAML's own limit for a key without `?`."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class PureParser(Reader, Scanner, Parser):
    """PyYAML's parser in Python."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: Any) -> list[str]:
        """As libyaml: an escape of no character, or of half a surrogate pair, is an error."""
        try:
            chunks: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
        except (OverflowError, ValueError):
            chunks = ["\ud800"]
        if any(_SURROGATE.search(chunk) for chunk in chunks):
            raise ScannerError(
                "while scanning a double-quoted scalar", start_mark, "invalid character escape code", self.get_mark()
            )
        return chunks

    def fetch_plain(self) -> None:
        """As libyaml: in a flow collection, a colon right before an indicator is an error."""
        start = self.get_mark()
        super().fetch_plain()
        if self.flow_level and self.peek() == ":" and self.peek(1) in ",?[]{}":
            raise ScannerError("while scanning a plain scalar", start, "found unexpected ':'", self.get_mark())


def _fastest() -> Callable[[str], Any]:
    try:
        from yaml._yaml import CParser
    except ImportError:  # PyYAML was built without libyaml: 13 times slower, same result
        return PureParser
    return CParser


PARSER: Final = _fastest()
"""Makes a parser for a text."""


class _Stop(Exception):  # noqa: N818 - ends composition after a finding, never leaves this module
    pass


def compose(text: str, sink: Sink) -> Node | None:
    """The root node; None where the file cannot be read to its end or means something else than it seems to."""
    composer = _Composer(sink, Layout(text, sink))
    try:
        composer.run(PARSER(text))
    except _Stop:
        return None
    except yaml.YAMLError as err:
        explain_syntax(err, text, composer.last_quoted, sink)
        return None
    return composer.root if composer.sound else None


class _Composer:
    def __init__(self, sink: Sink, layout: Layout) -> None:
        self.root: Node | None = None
        self.sound = True
        """Whether every value is what the file's author wrote, so that checking types makes sense."""
        self.last_quoted: Span | None = None
        """The last quoted text that goes over several lines; a missing quote makes one."""
        self._sink = sink
        self._layout = layout
        self._open: list[tuple[Mapping | Sequence, bool]] = []
        """Collections not yet closed, and whether each is in flow style."""
        self._keys: list[tuple[Span, str | None] | None] = []
        """Per open collection: the key whose value comes next; its text is None if it cannot be used."""
        self._seen: list[dict[str, str]] = []
        """Per open collection: its keys by their NFC form."""
        self._count = 0

    def run(self, parser: Any) -> None:
        documents = 0
        while True:
            event = parser.get_event()
            if isinstance(event, yaml.ScalarEvent):
                self._properties(event)
                self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._properties(event)
                self._start(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                self._document(event, documents)
            elif isinstance(event, yaml.StreamEndEvent):
                return

    def _document(self, event: Any, documents: int) -> None:
        if documents > 1:
            self._sink.add(
                "several-documents",
                "a second document starts here",
                _span(event),
                fix="write one contract per file",
            )
            raise _Stop
        if event.version or event.tags:
            self._sink.add("directive", "directives are not allowed", _span(event), fix="remove the line")
            raise _Stop

    def _properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._sink.add(
                "alias", f"anchor '&{shorten(event.anchor)}' is not allowed", _span(event), fix="write the value out"
            )
        if event.tag is not None:
            self._sink.add(
                "tag",
                f"tag {shorten(event.tag)!r} is not allowed",
                _span(event),
                fix="remove it; the key decides the type of its value",
            )

    def _alias(self, event: Any) -> None:
        self._sink.add(
            "alias", f"alias '*{shorten(event.anchor)}' is not allowed", _span(event), fix="write the value out"
        )
        self.sound = False
        self._place(Scalar(None, _span(event)))

    def _scalar(self, event: Any) -> None:
        span = _span(event)
        if event.style in ("|", ">"):
            span = (span[0], span[1], span[0], span[1] + 1)  # the indicator; the text below it may be long
            if not self._layout.block_header(span):
                raise _Stop
        elif event.style in ("'", '"'):
            self._layout.after_quote(span)
            if span[0] < span[2]:
                self.last_quoted = span
                self._continuation(span)
        text: str = event.value
        if event.implicit[0] and "?" in text and self._open and self._open[-1][1]:
            # libyaml reads it as text, the pure parser as the mark of a key.
            self._sink.add("yaml-syntax", "a '?' in [...] or {...} needs quotes", span, fix=f"write {shorten(text)!r}")
            raise _Stop
        self._place(Scalar(None if event.implicit[0] and text in _NULLS else text, span))

    def _start(self, event: Any) -> None:
        span = _span(event)
        if len(self._open) == MAX_DEPTH:
            self._sink.add("too-deep", f"collections are nested deeper than {MAX_DEPTH}", span)
            raise _Stop
        node = Mapping(span) if isinstance(event, yaml.MappingStartEvent) else Sequence(span)
        # In YAML a collection may be a key; it is refused here, and its value is then dropped with it.
        self._place(node)
        self._open.append((node, bool(event.flow_style)))
        self._keys.append(None)
        self._seen.append({})

    def _end(self, event: Any) -> None:
        node, flow = self._open.pop()
        self._keys.pop()
        self._seen.pop()
        if flow:
            end = (event.end_mark.line + 1, event.end_mark.column + 1)
        else:
            # The parser ends a block where the next token starts; people see its last value as the end.
            last = _last(node)
            end = (last[2], last[3])
        node.span = (node.span[0], node.span[1], *end)
        if flow:
            self._continuation(node.span)

    def _continuation(self, span: Span) -> None:
        if self._open and not self._open[-1][1] and span[0] < span[2]:
            self._layout.continuation(span, self._open[-1][0].span[1])

    def _place(self, node: Node) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._sink.add("too-large", f"file has more than {MAX_NODES} keys and values", node.span)
            raise _Stop
        if not self._open:
            self.root = node
            return
        parent = self._open[-1][0]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        pending = self._keys[-1]
        if pending is None:
            self._keys[-1] = (node.span, self._key(parent, node))
            return
        self._keys[-1] = None
        span, key = pending
        if key is not None:
            parent.entries[key] = (span, node)

    def _key(self, parent: Mapping, node: Node) -> str | None:
        """The key's text, or None after a finding."""
        if not isinstance(node, Scalar) or node.text is None:
            kind = {Mapping: "a mapping", Sequence: "a list"}.get(type(node), "nothing")
            self._sink.add("key-not-text", f"key is {kind}, expected text", node.span)
            self.sound = False
            return None
        key = node.text
        if len(key) > MAX_KEY:
            self._sink.add("too-large", f"key has {len(key)} characters, at most {MAX_KEY} are allowed", node.span)
            self.sound = False
            return None
        if key == "<<":
            self._sink.add("merge-key", "merge key '<<' is not allowed", node.span, fix="write the keys out")
            self.sound = False
            return None
        normal = key if key.isascii() else unicodedata.normalize("NFC", key)
        twin = self._seen[-1].setdefault(normal, key)
        if twin in parent.entries:
            first = parent.entries[twin][0]
            alike = "" if twin == key else ", which looks the same"
            self._sink.add(
                "duplicate-key",
                f"key {shorten(key)!r} appears again; first at line {first[0]}{alike}",
                node.span,
                fix="keep one of the two",
                key=dotted((*self._path(), key)),
                related=(("first here", first),),
            )
            return None
        return key

    def _path(self) -> tuple[str | int, ...]:
        path: list[str | int] = []
        for (node, _), pending in zip(self._open[:-1], self._keys[:-1], strict=True):
            if isinstance(node, Sequence):
                path.append(len(node.items) - 1)
            else:
                path.append(next(reversed(node.entries), "?") if pending is None else pending[1] or "?")
        return tuple(path)


def _last(node: Mapping | Sequence) -> Span:
    if isinstance(node, Sequence):
        return node.items[-1].span if node.items else node.span
    if not node.entries:
        return node.span
    key, value = next(reversed(node.entries.values()))
    # A key without a value: the parser puts the empty scalar behind the colon.
    return max(key, value.span, key=lambda span: span[2:])


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return (start.line + 1, start.column + 1, end.line + 1, end.column + 1)
