"""Text from a file reaches a terminal or a report only in printable form."""

from __future__ import annotations

import ast

import pytest

from engine.gguf.display import escape, quote


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tiny 2.5B", "tiny 2.5B"),
        ("naïve 日本 🦙", "naïve 日本 🦙"),
        ("a\nb\r\t", r"a\x0ab\x0d\x09"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("\x85\u2028\u2029\ufeff", r"\x85\u2028\u2029\ufeff"),
        ("\udce6\U000e0041", r"\udce6\U000e0041"),
        ("a\\x1b", r"a\\x1b"),
    ],
    ids=["plain", "unicode", "controls", "ansi", "bidi", "line ends", "surrogate and tag", "backslash"],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert shown.isprintable()
    assert ast.literal_eval(f'"{shown}"') == text  # Python reads the escapes back


def test_quote_cuts_long_text_and_says_so() -> None:
    assert quote("a\x00") == r"'a\x00'"
    assert quote("x" * 100, limit=3) == "'xxx...' (100 characters)"
