"""What YAML forbids and its parsers let pass: text that looks like a key or a comment and is neither."""

from __future__ import annotations

import re
from typing import Final

from pv.load.sink import Sink, Span
from pv.load.syntax import BLOCK_HEADER

_BLOCK_HEADER: Final = re.compile(r"[|>][-+0-9]*#")


class Layout:
    """Checks single values against the lines they stand on; each line is looked at once or twice."""

    def __init__(self, text: str, sink: Sink) -> None:
        self._text = text
        self._sink = sink
        self._lines: list[str] | None = None

    def continuation(self, span: Span, column: int) -> None:
        """Every further line of a quoted text or a flow collection is indented deeper than `column`.

        A line that starts with a closing bracket may stand anywhere; formatters put it below the key.
        """
        for number in range(span[0] + 1, span[2] + 1):
            line = self._line(number).rstrip("\r")
            content = line.lstrip(" ")
            indent = len(line) - len(content)
            if content and indent < column and content[0] not in "]}":
                self._sink.add(
                    "yaml-syntax",
                    f"line belongs to the value that starts at line {span[0]}, but is not indented under it",
                    (number, indent + 1, number, len(line) + 1),
                    fix="indent the line, or close the value before it",
                )
                return

    def after_quote(self, span: Span) -> None:
        """No comment without a blank before it."""
        if self._line(span[2])[span[3] - 1 : span[3]] == "#":
            place = (span[2], span[3], span[2], span[3] + 1)
            self._sink.add("yaml-syntax", "comment without a blank before it", place, fix="put a blank before the '#'")

    def block_header(self, span: Span) -> bool:
        """Whether the line of `|` or `>` holds nothing else; the finding is the pure parser's own."""
        match = _BLOCK_HEADER.match(self._line(span[0]), span[1] - 1)
        if match:
            place = (span[0], match.end(), span[0], match.end() + 1)
            message, fix = BLOCK_HEADER
            self._sink.add("yaml-syntax", message, place, fix=fix)
        return match is None

    def _line(self, number: int) -> str:
        if self._lines is None:
            self._lines = self._text.split("\n")
        return self._lines[number - 1] if number <= len(self._lines) else ""
