"""Broken and hostile files: what is found, where, how fast, and that both YAML parsers agree.

Y01 to Y32 are the cases in which public YAML readers disagree or fail; Y33 to Y44 are limits and look-alikes.
Lines and columns are counted by hand in `support.contract_text.VALID`: title is line 4, its value column 8; the
limit is line 16, column 41; the file has 23 lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pv.load import Loaded, composer, load_text
from pv.load.composer import PureParser
from support.contract_text import VALID, after, edited, limit, title

PARSERS = {"fastest": composer.PARSER, "pure": PureParser}

LIMIT_S = {"fastest": 1.0, "pure": 3.0}
"""Of processor time, which other work on the machine does not stretch; the slowest cases take 0.1 s and 0.35 s."""

Place = tuple[str, int, int, str]
"""Rule, line, column, beginning of the message."""


@dataclass(frozen=True)
class Case:
    id: str
    raw: bytes
    found: tuple[Place, ...]
    total: int | None = None
    """Number of findings, where `found` lists only the first."""
    value: Callable[[Any], object] | None = None
    """Read from the contract; what it must give is `expected`. Only for files that are accepted."""
    expected: object = None


def refused(id_: str, raw: bytes | str, *found: Place, total: int | None = None) -> Case:
    return Case(id_, raw if isinstance(raw, bytes) else raw.encode(), found, total)


def accepted(id_: str, raw: bytes, value: Callable[[Any], object], expected: object, *found: Place) -> Case:
    return Case(id_, raw, found, None, value, expected)


def in_title(rule: str, message: str, column: int = 8) -> Place:
    return (rule, 4, column, message)


def bad_limit(got: str) -> Place:
    return ("invalid-value", 16, 41, f"expected a decimal number such as 1.0e-3, got {got}")


def bad_text(column: int, message: str) -> Place:
    return ("forbidden-character", 4, column, message)


def flag(text: str) -> bytes:
    return edited("    equation: rms\n", f"    equation: rms\n    exact: {text}\n").encode()


def not_utf8(message: str) -> Place:
    return ("not-utf-8", 1, 1, message)


NESTED_MAPPINGS = "".join(" " * depth + "a:\n" for depth in range(1400))
BILLION_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "m0: &m0 {k: 1}\n" + "".join(
    f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 9)}]}}\n" for level in range(1, 7)
)
EMPTY = ("empty-file", 1, 1, "file is empty, expected a mapping of keys")
TOO_DEEP = "collections are nested deeper than 32"
BRACKETS = "more than 64 opening brackets in a row"
HIDDEN_BREAK = "is a hidden line break"
WAIVER = "waivers:\n  - {obligation: close, owner: ann, reason: known, expires: 2024-13-45}\n"

CASES = [
    # Values and keys that YAML readers type or merge each in their own way.
    refused("Y01", after("title: FAIL\n"), ("duplicate-key", 24, 1, "key 'title' appears again; first at line 4")),
    refused("Y02", after('"title": b\n'), ("duplicate-key", 24, 1, "key 'title' appears again; first at line 4")),
    accepted("Y03-no", title("no"), lambda contract: contract.title, "no"),
    accepted("Y03-on", title("on"), lambda contract: contract.title, "on"),
    accepted("Y03-yes", title("yes"), lambda contract: contract.title, "yes"),
    refused("Y03-flag", flag("yes"), ("invalid-value", 15, 12, "expected true or false, got 'yes'")),
    accepted("Y03-true", flag("true"), lambda contract: contract.obligations[0].exact, True),
    refused("Y04", after("on: 1\n"), ("unknown-key", 24, 1, "unknown key 'on'")),
    refused("Y05", limit("0755"), bad_limit("'0755'")),
    accepted("Y05-text", title("0755"), lambda contract: contract.title, "0755"),
    accepted("Y06", title("12:30:45"), lambda contract: contract.title, "12:30:45"),
    refused("Y06-number", limit("12:30:45"), bad_limit("'12:30:45'")),
    accepted("Y07", VALID.encode(), lambda contract: contract.version, "1.10.0"),
    accepted("Y07-text", title("1.10"), lambda contract: contract.title, "1.10"),
    accepted("Y08", limit("1e-3"), lambda contract: contract.obligations[0].tolerance.limit, 0.001),
    refused("Y08-word", limit("small"), bad_limit("'small'")),
    refused("Y08-zero", limit("0"), ("invalid-value", 16, 41, "expected more than 0, got '0'")),
    refused("Y08-negative", limit("-1e-3"), ("invalid-value", 16, 41, "expected more than 0, got '-1e-3'")),
    refused("Y09-nan", limit(".nan"), bad_limit("'.nan'")),
    refused("Y09-NaN", limit("NaN"), bad_limit("'NaN'")),
    refused("Y09-inf", limit(".inf"), bad_limit("'.inf'")),
    refused("Y10", after(WAIVER), ("invalid-value", 25, 61, "no such day in the calendar: '2024-13-45'")),
    refused("Y11", limit("1" * 5000), ("invalid-value", 16, 41, "expected a finite number, got '1111")),
    refused(
        "Y12",
        title("!!python/object/apply:os.system [id]"),
        in_title("tag", "tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed"),
        in_title("wrong-type", "expected text, got a list"),
    ),
    refused("Y13-binary", title("!!binary aGk="), in_title("tag", "tag 'tag:yaml.org,2002:binary' is not allowed")),
    refused(
        "Y13-set",
        title("!!set {a}"),
        in_title("tag", "tag 'tag:yaml.org,2002:set' is not allowed"),
        in_title("wrong-type", "expected text, got a mapping"),
    ),
    refused("Y13-timestamp", title("!!timestamp 2024-01-01"), in_title("tag", "tag 'tag:yaml.org,2002:timestamp'")),
    refused("Y13-undeclared", title("!e!x a"), in_title("tag", "tag is not allowed")),
    refused("Y14-list", after("? [1, 2]\n: 3\n"), ("key-not-text", 24, 3, "key is a list, expected text")),
    refused("Y14-null", after("null: 3\n"), ("key-not-text", 24, 1, "key is nothing, expected text")),
    # Bytes and characters.
    refused(
        "Y15",
        title("n").replace(b"title: n", b"title: n\xe9"),
        ("not-utf-8", 4, 9, "byte 0xe9 at offset 50 is not UTF-8"),
    ),
    refused("Y16", VALID.encode("utf-16"), not_utf8("file is UTF-16, expected UTF-8")),
    refused("Y16-le", VALID.encode("utf-16-le"), not_utf8("file is UTF-16, expected UTF-8")),
    refused("Y16-be", VALID.encode("utf-16-be"), not_utf8("file is UTF-16, expected UTF-8")),
    accepted(
        "Y17",
        b"\xef\xbb\xbf" + VALID.encode(),
        lambda contract: contract.id,
        "rms-norm",
        ("byte-order-mark", 1, 1, "file starts with a byte order mark"),
    ),
    refused("Y17-inside", title("a\ufeffb"), bad_text(9, "U+FEFF (zero width no-break space) is not allowed")),
    refused("Y18-nul", title("a\0b"), bad_text(9, "U+0000 (control character) is not allowed")),
    refused("Y18-escape", title("a\x1b[31m"), bad_text(9, "U+001B (control character) is not allowed")),
    refused("Y18-c1", title("a\x90b"), bad_text(9, "U+0090 (control character) is not allowed")),
    refused("Y19", title(r'"a\uD800"'), bad_text(8, "escape that names no character")),
    refused("Y19-beyond", title(r'"\UFFFFFFFF"'), bad_text(8, "escape that names no character")),
    accepted(
        "Y20",
        title("a\u202eb"),
        lambda contract: contract.title,
        "a\u202eb",
        ("bidirectional-override", 4, 9, "U+202E (right-to-left override) changes the direction"),
    ),
    refused("Y21", title("x\u0085status: PASS"), bad_text(9, f"U+0085 (next line) {HIDDEN_BREAK}")),
    # Syntax and structure.
    refused(
        "Y22-tab",
        edited("    type: bound", "\t  type: bound"),
        ("forbidden-character", 13, 1, "tab where only spaces may stand"),
    ),
    refused("Y22-alias", title("*nowhere"), in_title("alias", "alias '*nowhere' is not allowed")),
    refused("Y22-quote", title("'open"), in_title("yaml-syntax", "quoted text is not closed")),
    refused(
        "Y22-quote-later",
        title('"open'),
        ("yaml-syntax", 5, 1, "line belongs to the value that starts at line 4, but is not indented under it"),
        ("yaml-syntax", 16, 54, "text goes on after the quoted text that starts at line 4"),
    ),
    refused(
        "Y22-bracket-later",
        edited("[close]", "[close,\nother]"),
        ("yaml-syntax", 20, 1, "line belongs to the value that starts at line 19, but is not indented under it"),
    ),
    accepted(
        "Y22-closing-bracket",
        edited("[close]", "[\n      close,\n    ]").encode(),
        lambda contract: contract.falsifiers[0].refutes,
        ("close",),
    ),
    refused("Y22-comment", title('"a"# b'), in_title("yaml-syntax", "comment without a blank before it", 11)),
    refused("Y22-header", title(">-# b\n  a"), in_title("yaml-syntax", "wrong header of a block text", 10)),
    refused("Y23", after("---\nid: b\n"), ("several-documents", 24, 1, "a second document starts here")),
    refused("Y24", "", EMPTY),
    refused("Y24-comments", "# only\n\n# comments", EMPTY),
    refused("Y24-start", "---\n", EMPTY),
    refused("Y25", "PASS\n", ("not-a-mapping", 1, 1, "file holds a single value, expected a mapping of keys")),
    refused("Y25-list", "- a\n", ("not-a-mapping", 1, 1, "file holds a list, expected a mapping of keys")),
    refused(
        "Y26",
        title("&a [*a]"),
        in_title("alias", "anchor '&a' is not allowed"),
        in_title("alias", "alias '*a' is not allowed", 12),
    ),
    refused(
        "Y27",
        title("&a x").replace(b"description: n", b"description: &a n"),
        in_title("alias", "anchor '&a' is not allowed"),
        ("alias", 5, 14, "anchor '&a' is not allowed"),
    ),
    # Bombs.
    refused("Y28", title("[" * 3000), in_title("too-deep", BRACKETS)),
    refused("Y28-closed", title("[" * 3000 + "]" * 3000), in_title("too-deep", BRACKETS)),
    # Mapping, then the 32nd list inside it: column 8 + 3 * 31.
    refused("Y28-values", title("[a," * 3000), in_title("too-deep", TOO_DEEP, 101)),
    refused("Y29", NESTED_MAPPINGS, ("too-deep", 33, 33, TOO_DEEP)),
    refused("Y29-flow", "{a: " * 1500, ("too-deep", 1, 129, TOO_DEEP)),
    refused("Y30", "[" * 30000, ("too-deep", 1, 1, BRACKETS)),
    refused("Y30-brace", "{" * 30000, ("too-deep", 1, 1, BRACKETS)),
    refused("Y30-lines", "[ \n" * 30000, ("too-deep", 1, 1, BRACKETS)),
    refused("Y30-dash", "- " * 30000, ("too-deep", 1, 65, TOO_DEEP)),
    refused("Y30-key", "? " * 30000, ("key-not-text", 1, 3, "key is a mapping, expected text"), total=32),
    # 8 more anchors with 9 aliases each.
    refused("Y31", after(BILLION_LAUGHS), ("alias", 24, 4, "anchor '&a' is not allowed"), total=1 + 8 * 10),
    # 6 more anchors with 9 aliases and a merge key each.
    refused("Y32", after(MERGE_BOMB), ("alias", 24, 5, "anchor '&m0' is not allowed"), total=1 + 6 * 11),
    # Limits.
    refused(
        "Y33",
        VALID + "#" * ((1 << 20) + 1 - len(VALID)),
        ("too-large", 1, 1, "file is larger than 1048576 bytes"),
    ),
    accepted(
        "Y33-full",
        (VALID + "#" * ((1 << 20) - len(VALID))).encode(),
        lambda contract: contract.id,
        "rms-norm",
    ),
    # The root mapping is the first of 20,000 nodes, so the 20,001st is the value of line 10,000.
    refused(
        "Y34",
        "".join(f"k{number}: 1\n" for number in range(100_001)),
        ("too-large", 10_000, 8, "file has more than 20000 keys and values"),
    ),
    refused("Y35", "k" * 200_000 + ": 1\n", ("yaml-syntax", 1, 200_001, "a ': ' stands where no key can be")),
    refused(
        "Y35-explicit",
        "? " + "k" * 200_000 + "\n: 1\n",
        ("too-large", 1, 3, "key has 200000 characters, at most 1024 are allowed"),
    ),
    # 23 line ends: ten findings and a note.
    refused(
        "Y36",
        VALID.replace("\n", "\r"),
        ("forbidden-character", 1, 13, f"carriage return without line feed {HIDDEN_BREAK}"),
        total=11,
    ),
    accepted("Y36-crlf", VALID.replace("\n", "\r\n").encode(), lambda contract: contract.title, "RMS norm"),
    refused("Y37-ls", title("a\u2028b"), bad_text(9, f"U+2028 (line separator) {HIDDEN_BREAK}")),
    refused("Y37-ps", title("a\u2029b"), bad_text(9, f"U+2029 (paragraph separator) {HIDDEN_BREAK}")),
    refused("Y38-yaml", f"%YAML 1.1\n---\n{VALID}", ("directive", 1, 1, "directive '%YAML' is not allowed")),
    refused(
        "Y38-tag",
        f"# first\n%TAG ! tag:x,2000:\n---\n{VALID}",
        ("directive", 2, 1, "directive '%TAG' is not allowed"),
    ),
    refused("Y39", limit("1_000"), bad_limit("'1_000'")),
    refused("Y40", limit("0x" + "f" * 100_000), bad_limit("'0xfff")),
    refused("Y41", limit("1e999"), ("invalid-value", 16, 41, "expected a finite number, got '1e999'")),
    refused(
        "Y42",
        title("|\n     a\n   b"),
        ("yaml-syntax", 6, 4, "line does not continue the mapping above"),
    ),
    refused("Y42-tab", title("|\n  a\n\tb"), ("forbidden-character", 6, 1, "tab where only spaces may stand")),
    refused(
        "Y43",
        after('"\\x74itle": b\n'),
        ("duplicate-key", 24, 1, "key 'title' appears again; first at line 4"),
    ),
    refused(
        "Y44",
        after("\u00e9: b\ne\u0301: c\n"),
        ("unknown-key", 24, 1, "unknown key '\u00e9'"),
        ("duplicate-key", 25, 1, "key 'e\u0301' appears again; first at line 24, which looks the same"),
    ),
]


def load(raw: bytes, parser: Any, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setattr(composer, "PARSER", parser)
    return load_text(raw, "c.yaml")


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case_is_found_where_it_is(case: Case, parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.process_time()
    loaded = load(case.raw, PARSERS[parser], monkeypatch)
    duration_s = time.process_time() - start

    found = [
        (item.rule, item.location.line, item.location.column, item.message[: len(place[3])])
        for item, place in zip(loaded.findings, case.found, strict=case.total is None)
    ]
    assert found == list(case.found)
    if case.total is not None:
        assert len(loaded.findings) == case.total
    assert all(len(item.message) < 250 for item in loaded.findings)
    if case.value is None:
        assert loaded.contract is None
    else:
        assert case.value(loaded.contract) == case.expected
    assert duration_s < LIMIT_S[parser]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_both_parsers_say_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    fastest, pure = (load(case.raw, parser, monkeypatch) for parser in PARSERS.values())
    assert fastest.findings == pure.findings
    assert fastest.contract == pure.contract
    assert fastest.data == pure.data


def test_each_of_the_44_cases_is_here() -> None:
    assert {case.id.split("-")[0] for case in CASES} == {f"Y{number:02}" for number in range(1, 45)}


def test_this_machine_has_libyaml() -> None:
    """Otherwise the two parsers above are one, and their agreement says nothing."""
    assert PARSERS["fastest"] is not PureParser
