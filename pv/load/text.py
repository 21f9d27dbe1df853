"""Bytes to text: the checks that come before any YAML.

    1. at most 1 MiB
    2. UTF-8, strictly; one leading byte order mark is dropped
    3. no control characters except LF and CR LF; no other line breaks (NEL, LS, PS, lone CR), because readers
       disagree about them and a key can hide behind one; no tabs, because readers disagree about where one may stand;
       no U+FEFF inside, no noncharacters
    4. no run of opening brackets: the scanner of the pure Python parser takes quadratic time on one

Each check is linear in the size of the file.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from pv.load.sink import Sink, Span

MAX_BYTES: Final = 1 << 20

# The control characters of Trojan Source (CVE-2021-42574).
_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")

_FORBIDDEN: Final = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufeff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]|\r(?!\n)"
)
_LINE_BREAKS: Final = "\r\x85\u2028\u2029"

# Twice the depth that the composer allows: depth itself is counted there, on the parser's events.
_BRACKET_RUN: Final = re.compile(r"[\[{](?:[ \t\r\n]*[\[{]){64}")

# Comments and blank lines, then a line that starts with a percent sign.
_DIRECTIVE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*(%[^\s#]*)")

_PER_KIND: Final = 10
"""Findings per kind of character; the rest is counted in the last one."""


def decode(raw: bytes, sink: Sink) -> str | None:
    """The text without its byte order mark, or None if the file must not reach a parser."""
    if len(raw) > MAX_BYTES:
        sink.add(
            "too-large",
            f"file is larger than {MAX_BYTES} bytes",
            (1, 1, 1, 1),
            fix="split it into several contracts",
        )
        return None
    if _is_utf16(raw):
        sink.add("not-utf-8", "file is UTF-16, expected UTF-8", (1, 1, 1, 1), fix="save the file as UTF-8")
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as err:
        _report_undecodable(raw, err.start, sink)
        return None
    if text.startswith("\ufeff"):
        text = text[1:]
        sink.add("byte-order-mark", "file starts with a byte order mark", (1, 1, 1, 1), fix="save it without the mark")
    if not text.replace("\r\n", "").replace("\n", "").isprintable():
        # Nothing of the two is printable, but neither are harmless blanks; the patterns take 20 times as long.
        _report_characters(text, _FORBIDDEN, "forbidden-character", sink)
        _report_characters(text, _BIDI, "bidirectional-override", sink)
    if run := _BRACKET_RUN.search(text):
        sink.add("too-deep", "more than 64 opening brackets in a row", _span(text, run.start(), 1))
    if directive := _DIRECTIVE.match(text):
        name = directive[1]
        sink.add(
            "directive",
            f"directive {shorten(name)!r} is not allowed",
            _span(text, directive.start(1), len(name)),
            fix="remove the line; files are read by one fixed set of rules",
        )
    return None if sink.has_errors else text


def shorten(text: str, limit: int = 60) -> str:
    """At most `limit` characters, so that a message stays one line."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _is_utf16(raw: bytes) -> bool:
    # Without a mark: Latin text has a NUL in every second byte.
    return raw[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(raw) >= 4 and b"\0\0" in (raw[0:4:2], raw[1:4:2]))


def _report_undecodable(raw: bytes, offset: int, sink: Sink) -> None:
    line_start = raw.rfind(b"\n", 0, offset) + 1
    line = raw.count(b"\n", 0, offset) + 1
    column = len(raw[line_start:offset].decode("utf-8")) + 1
    sink.add(
        "not-utf-8",
        f"byte 0x{raw[offset]:02x} at offset {offset} is not UTF-8",
        (line, column, line, column + 1),
        fix="save the file as UTF-8",
    )


def _report_characters(text: str, pattern: re.Pattern[str], rule: str, sink: Sink) -> None:
    found = pattern.finditer(text)
    for match, _ in zip(found, range(_PER_KIND), strict=False):
        character = match[0]
        code = f"U+{ord(character):04X}"
        if rule == "bidirectional-override":
            message = f"{code} ({unicodedata.name(character).lower()}) changes the direction of the text around it"
            fix = "remove it, or say in words what stands there"
        elif character == "\r":
            message, fix = "carriage return without line feed is a hidden line break", "use LF or CR LF line ends"
        elif character == "\t":
            message, fix = "tab where only spaces may stand", 'use spaces, or write "\\t" in double quotes'
        elif character in _LINE_BREAKS:
            name = unicodedata.name(character, "next line").lower()
            message, fix = f"{code} ({name}) is a hidden line break", "use an ordinary line break"
        else:
            kind = "control character" if unicodedata.category(character) == "Cc" else "noncharacter"
            name = unicodedata.name(character, kind).lower()
            message, fix = f"{code} ({name}) is not allowed", 'remove it, or write it as an escape in "..."'
        sink.add(rule, message, _span(text, match.start(), 1), fix=fix)
    sink.hide(sum(1 for _ in found))


def _span(text: str, offset: int, length: int) -> Span:
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    return (line, column, line, column + length)
