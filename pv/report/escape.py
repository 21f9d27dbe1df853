"""Text from files and tests, made safe and honest to show: what a reader sees is what the file says.

A control byte can move a terminal's cursor, and a bidirectional override reorders a line on screen (Trojan Source,
CVE-2021-42574), so both are shown as escapes.
"""

from __future__ import annotations

import unicodedata

# Cc and Cf hold control and format characters (bidi marks, zero width), Zl and Zp hidden line breaks,
# Cs lone surrogates, which cannot be encoded at all.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """One line: every hidden character as `\\x1b` or `\\u202e`; a tab as one space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) for char in text)


def width(text: str) -> int:
    """Terminal columns of escaped text; wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _escaped(char: str) -> str:
    if char == "\t":
        return " "
    if char == "\n":
        return "\\n"
    if unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
