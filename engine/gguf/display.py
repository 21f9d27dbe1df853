"""Text from a model file made safe to show: no terminal escapes, no line breaks, no bidirectional overrides."""

from __future__ import annotations


def escape(text: str) -> str:
    r"""Replace every character that does not print by its Python escape, and a backslash by two.

    `"a\x1b[31m\u202e"` becomes the 15 characters `a\x1b[31m\u202e`; what remains is one printable line.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape_one(char) for char in text)


def _escape_one(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: str, limit: int = 80) -> str:
    """Escaped text in quotes, cut after `limit` characters, with the full length where something was cut."""
    if len(text) <= limit:
        return f"'{escape(text)}'"
    return f"'{escape(text[:limit])}...' ({len(text)} characters)"
