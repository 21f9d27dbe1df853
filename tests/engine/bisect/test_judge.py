"""Which verdict follows from which errors: a table, by hand."""

from __future__ import annotations

import pytest

from engine.bisect.distance import Excess
from engine.bisect.judge import Cell, Verdict, judge
from engine.bisect.places import Place

NAMES = ("q", "k", "v")


def excess(times: float, size: float | None = None) -> Excess:
    size = times if size is None else size
    return Excess(times, 0, 0, size, size)


def cells(
    a: str = "000", b: str = "000", *, beside: str = "000", apart: str = "000", elsewhere: str = ""
) -> list[Cell]:
    """One digit a place, in floors: 0 is half a floor."""

    def at(digits: str, number: int) -> Excess:
        return excess(float(digits[number]) or 0.5)

    return [
        Cell(
            Place(0, name),
            apart=at(apart, number),
            a=at(a, number),
            b=at(b, number),
            a_beside_b=at(beside, number),
            a_golden=at(apart, number),
            b_golden=excess(0.5),
            reference=at(elsewhere, number) if elsewhere else None,
        )
        for number, name in enumerate(NAMES)
    ]


@pytest.mark.parametrize(
    ("found", "golden", "verdict", "named"),
    [
        (cells(), "fp64", Verdict.WITHIN, []),
        (cells(), "", Verdict.WITHIN, []),
        (cells(b="029"), "fp64", Verdict.B_WRONG, [("b", "k")]),
        (cells(b="029"), "", Verdict.B_WRONG, [("b", "k")]),
        (cells(a="002"), "fp64", Verdict.A_WRONG, [("a", "v")]),
        (cells(a="002", b="020"), "fp64", Verdict.BOTH_WRONG, [("b", "k"), ("a", "v")]),
        (cells(a="020", beside="020"), "", Verdict.TOO_NOISY, [("", "k")]),
        (cells(a="020", b="020", beside="020"), "", Verdict.TOO_NOISY, [("", "k")]),
        (cells(a="020", b="029", beside="020"), "", Verdict.B_WRONG, [("b", "v")]),
        (cells(a="002", b="009", beside="002"), "", Verdict.B_WRONG, [("b", "v")]),
        (cells(apart="002"), "", Verdict.DRIFT, [("", "v")]),
        (cells(apart="002"), "fp64", Verdict.DRIFT, [("", "v")]),
        (cells(elsewhere="020"), "other", Verdict.TOO_NOISY, [("", "k")]),
        (cells(b="020", elsewhere="020"), "other", Verdict.B_WRONG, [("b", "k")]),
    ],
    ids=[
        "nothing", "nothing, a is the reference", "b, first of two", "b beside a", "a", "both, by place",
        "a is too noisy", "b within what a is off", "b where a is right", "b far beyond what a is off",
        "drift from a", "drift from golden", "golden from elsewhere is noisy", "b is wrong whatever the golden",
    ],
)  # fmt: skip
def test_verdict(found: list[Cell], golden: str, verdict: Verdict, named: list[tuple[str, str]]):
    judgement = judge(found, golden=golden)
    assert judgement.verdict is verdict
    assert [(first.side, first.cell.place.name) for first in judgement.found] == named


def test_the_place_of_parting_is_the_first_beyond_the_floor():
    parted = judge(cells(apart="029"), golden="fp64").parted
    assert parted is not None
    assert parted.place == Place(0, "k")


def test_a_place_that_was_not_recorded_is_no_agreement_and_no_fault():
    judgement = judge([Cell(Place(0, "q")), *cells()[1:]], golden="fp64")
    assert judgement.verdict is Verdict.WITHIN
    assert judgement.cells[0].apart is None


def test_undecided_verdicts_are_those_of_exit_code_4():
    assert {verdict for verdict in Verdict if not verdict.is_decided} == {Verdict.TOO_NOISY, Verdict.DRIFT}
