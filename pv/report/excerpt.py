"""The lines of a file that a finding is about, with a caret under the place.

   |
41 |     test: falsifiers/test_q4k.py::test_outlier
   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from pv.report.escape import visible, width
from pv.schema.location import Location

# Wide enough for prose in a contract, narrow enough that a megabyte on one line stays one line on screen.
_MAX_CHARS = 160
_LEAD_CHARS = 40


def excerpt(sources: Mapping[str, str], location: Location) -> list[str]:
    """Lines without indentation of their own; empty if the file's text is not at hand."""
    lines = _lines(sources.get(location.path, ""))
    if not 1 <= location.line <= len(lines):
        return []
    line = lines[location.line - 1]
    start = min(max(location.column - 1, 0), len(line))
    end = _end(location, line, start)
    first = max(0, start - _LEAD_CHARS) if len(line) > _MAX_CHARS else 0
    last = min(len(line), first + _MAX_CHARS)
    end = min(end, last)
    before, marked, after = visible(line[first:start]), visible(line[start:end]), visible(line[end:last])
    before = ("..." if first else "") + before
    after += "..." if last < len(line) else ""
    gutter = " " * len(str(location.line))
    caret = " " * width(before) + "^" * max(1, width(marked))
    return [f"{gutter} |", f"{location.line} | {before}{marked}{after}".rstrip(), f"{gutter} | {caret}"]


def _end(location: Location, line: str, start: int) -> int:
    """0-based column after the marked text, on the location's first line."""
    stop = len(line.rstrip()) if location.end_line > location.line else location.end_column - 1
    return min(max(stop, start), len(line))


@lru_cache(maxsize=64)
def _lines(text: str) -> tuple[str, ...]:
    # Not str.splitlines: it also breaks at form feeds and U+2028, where YAML and editors count no line.
    return tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")) if text else ()
