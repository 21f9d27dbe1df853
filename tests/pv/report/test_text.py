"""What people read: whole outputs."""

from __future__ import annotations

import pytest

from pv.report.findings import Totals
from pv.report.text import concise, full
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location
from support.findings import CONTRACT, DANGLING, ORPHAN, report


def test_full_shows_source_remedy_and_explanation():
    assert full(report(DANGLING, ORPHAN)) == (
        "error[dangling-test]: falsifier 'FALSIFY-Q4K-003' names a test that pytest does not collect\n"
        " --> contracts/q4k-matvec-v2.yaml:5:11\n"
        "  |\n"
        "5 |     test: falsifiers/test_q4k.py::test_outlier\n"
        "  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  = fix: correct the node id\n"
        "  = help: pv explain dangling-test\n"
        "\n"
        "warning[orphan-marker]: no contract has a falsifier 'FALSIFY-Q4K-004'\n"
        "  --> falsifiers/test_q4k.py:12:1\n"
        "   = note: a note: contracts/q4k-matvec-v2.yaml:4:5\n"
        "   = fix: correct the id\n"
        "   = help: pv explain orphan-marker\n"
        "\n"
        "12 contracts, 148 falsifiers: 141 bound, 4 unbound, 3 dangling. 1 error, 1 warning.\n"
    )


def test_concise_is_one_line_per_finding():
    assert concise(report(DANGLING, ORPHAN)) == (
        "contracts/q4k-matvec-v2.yaml:5:11: dangling-test "
        "falsifier 'FALSIFY-Q4K-003' names a test that pytest does not collect\n"
        "falsifiers/test_q4k.py:12:1: orphan-marker no contract has a falsifier 'FALSIFY-Q4K-004'\n"
        "12 contracts, 148 falsifiers: 141 bound, 4 unbound, 3 dangling. 1 error, 1 warning.\n"
    )


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (Totals(12, 30, 148), "12 contracts, 30 obligations, 148 falsifiers checked. 0 errors, 0 warnings."),
        (Totals(1, 1, 1), "1 contract, 1 obligation, 1 falsifier checked. 0 errors, 0 warnings."),
        (
            Totals(1, 2, 3, unreadable=1),
            "1 contract, 2 obligations, 3 falsifiers checked, 1 file not readable. 0 errors, 0 warnings.",
        ),
        (
            Totals(2, 2, 3, unreadable=2, bound=0, unbound=2, dangling=1),
            "2 contracts, 3 falsifiers: 0 bound, 2 unbound, 1 dangling, 2 files not readable. 0 errors, 0 warnings.",
        ),
    ],
    ids=["without tests", "one of each", "unreadable", "unreadable, with tests"],
)
def test_last_line_states_the_denominators(totals, expected):
    assert full(report(totals=totals)) == f"{expected}\n"


def test_control_and_bidi_characters_are_shown_as_escapes():
    """A raw escape sequence could rewrite the terminal; an override shows another limit than the stored one."""
    path = "contracts/\x1b[31mx.yaml"
    finding = Finding("r", Severity.ERROR, "title \u202eis\x07\nodd", Location(path, 1, 8, 1, 10))
    shown = full(report(finding, sources={path: "title: \u202e\tx\n"}))
    assert shown.splitlines()[:5] == [
        "error[r]: title \\u202eis\\x07\\nodd",
        " --> contracts/\\x1b[31mx.yaml:1:8",
        "  |",
        "1 | title: \\u202e x",
        "  |        ^^^^^^^",
    ]
    assert all(char.isprintable() or char == "\n" for char in shown + concise(report(finding)))


def test_caret_stands_under_the_place_behind_wide_characters():
    """Two columns each: a caret that counts characters would point two columns too far left."""
    finding = Finding("r", Severity.ERROR, "m", Location("a", 1, 4, 1, 6))
    assert full(report(finding, sources={"a": "\u91cf\u5316:xy"})).splitlines()[3:5] == [
        "1 | \u91cf\u5316:xy",
        "  |      ^^",
    ]


def test_long_line_is_cut_around_the_place():
    finding = Finding("r", Severity.ERROR, "m", Location("a", 1, 501, 1, 504))
    line, caret = full(report(finding, sources={"a": "a" * 500 + "bbb" + "c" * 500})).splitlines()[3:5]
    assert line == "1 | ..." + "a" * 40 + "bbb" + "c" * 117 + "..."
    assert caret == "  | " + " " * 43 + "^^^"


@pytest.mark.parametrize(
    "location",
    [Location("contracts/q4k-matvec-v2.yaml", 99, 1, 99, 1), Location("elsewhere.yaml", 1, 1, 1, 1)],
    ids=["line beyond the end", "file without text"],
)
def test_place_without_text_has_no_excerpt(location):
    shown = full(report(Finding("r", Severity.INFO, "m", location)))
    assert " | " not in shown


@pytest.mark.parametrize(
    ("place", "caret"),
    [
        ((1, 5, 3, 2), "    ^^^^^^^^^^"),
        ((1, 5, 1, 5), "    ^"),
        ((1, 5, 1, 1), "    ^"),
        ((1, 99, 1, 99), " " * 14 + "^"),
    ],
    ids=["over several lines", "empty", "end before start", "column beyond the end"],
)
def test_caret_of_odd_places(place, caret):
    finding = Finding("r", Severity.ERROR, "m", Location("contracts/q4k-matvec-v2.yaml", *place))
    assert CONTRACT.splitlines()[0] == "id: q4k-matvec"
    assert full(report(finding)).splitlines()[4] == f"  | {caret}"
