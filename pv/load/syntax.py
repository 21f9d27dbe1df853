"""The YAML parsers' errors in the words of people who write contracts.

libyaml and PyYAML's Python parser word the same error differently; both wordings lead to one message here.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from pv.load.sink import Sink, Span
from pv.load.text import shorten

_TAG: Final = re.compile(r"undefined tag|tag handle|tag URI|while (scanning|parsing) a tag")

BLOCK_HEADER: Final = ("wrong header of a block text", "write | or > alone on the line")

# What either parser says -> message, fix. The first match counts.
_KNOWN: Final[tuple[tuple[str, str, str], ...]] = (
    (r"cannot start any token", "a value cannot start with this character", "put the value in quotes"),
    (r"unexpected end of stream", "quoted text is not closed", "close the quote"),
    (r"unexpected document", "quoted text is not closed before the document ends", "close the quote"),
    (
        r"mapping values are not allowed",
        "a ': ' stands where no key can be",
        "put text that contains ': ' in quotes, or check the indentation",
    ),
    (
        r"could not find expected ':'",
        "line is neither a key with its ':' nor part of the value above",
        "add the ':' after the key, or indent the line",
    ),
    (r"escape|hexdecimal", "unknown escape in double quotes", "write \\\\ for a backslash, or use single quotes"),
    (r"expected ',' or '\]'", "list in [...] lacks a ',' or its ']'", "add what is missing"),
    (r"expected ',' or '}'", "mapping in {...} lacks a ',' or its '}'", "add what is missing"),
    (r"unexpected ':'", "a ':' is not followed by a blank", "add a blank, or put the value in quotes"),
    (r"document start", "text stands after the end of the document", "write one contract per file"),
    (r"sequence entries are not allowed", "a '- ' cannot stand here", "put the list on its own lines"),
    (r"mapping keys are not allowed", "a '? ' cannot stand here", "put the value in quotes"),
    (r"comment or (a )?line break|chomping|range 1-9|indentation indicator", *BLOCK_HEADER),
    (
        r"'-' indicator|block collection",
        "line does not continue the list above",
        "check its indentation and its '- '",
    ),
    (
        r"did not find expected key|block mapping",
        "line does not continue the mapping above",
        "check its indentation; put a value that starts with a quote or bracket and goes on after it in quotes",
    ),
    (r"indentation", "wrong indentation of a block text", "indent all its lines by the same number of spaces"),
    (r"node content", "a value is missing or starts with a character that needs quotes", "put the value in quotes"),
    (r"alphabetic or numeric", "a name must follow '&' or '*'", "put the value in quotes"),
)

# Errors whose place is where the construct starts, since the parser notices them anywhere behind it.
_AT_START: Final = re.compile(r"unexpected end of stream|escape")


def explain_syntax(err: yaml.YAMLError, text: str, last_quoted: Span | None, sink: Sink) -> None:
    """Add the one finding that a parser's error is.

    Args:
        last_quoted: the last quoted text over several lines before the error.
    """
    problem = str(getattr(err, "problem", None) or getattr(err, "reason", None) or "text is not YAML")
    context = str(getattr(err, "context", None) or "")
    mark = getattr(err, "problem_mark", None)
    start = getattr(err, "context_mark", None)
    span = _place(start if start is not None and _AT_START.search(problem) else mark, text)
    if _TAG.search(f"{context}: {problem}"):
        sink.add("tag", "tag is not allowed", span, fix="remove it; the key decides the type of its value")
        return
    if re.search(r"directive|YAML document|version", f"{problem} {context}"):
        sink.add("directive", "directives are not allowed", span, fix="remove the line")
        return
    if "escape code" in problem:
        sink.add("forbidden-character", "escape that names no character", span, fix="write the character itself")
        return
    if last_quoted is not None and last_quoted[2] == span[0]:
        sink.add(
            "yaml-syntax",
            f"text goes on after the quoted text that starts at line {last_quoted[0]}",
            span,
            fix=f"close the quote at line {last_quoted[0]}, or put a single quote inside it twice",
            related=(("quoted text starts here", last_quoted),),
        )
        return
    related = (("opened here", _place(start, text)),) if "flow" in context and start is not None else ()
    for pattern, message, fix in _KNOWN:
        if re.search(pattern, f"{problem} {context}"):
            sink.add("yaml-syntax", message, span, fix=fix, related=related)
            return
    sink.add("yaml-syntax", shorten(" ".join(problem.split()), 120), span)


def _place(mark: Any, text: str) -> Span:
    """One character inside the text; parsers put the end of the file on a line of its own."""
    if mark is None:
        return (1, 1, 1, 1)
    lines = text.split("\n")
    line, column = int(mark.line), int(mark.column)
    if line >= len(lines):
        line, column = len(lines) - 1, len(lines[-1])
    return (line + 1, column + 1, line + 1, column + 2)
