"""A stored standing against the recomputed one: which of the two rules speaks, if any."""

from __future__ import annotations

import pytest

from pv.lint.engine import run_rules
from pv.lint.rule import Stage
from pv.schema.contract import Discharge, FalsifierDischarge
from pv.schema.store import BlockOrigin
from support.catalogs import GOOD, context

ID = "FALSIFY-ROPE-001"


def lint(
    stored: str, supported: str, *, have: str = "", has: tuple[str, ...] = (), name: str = ID, origin: str = "last"
) -> list[tuple[str, str]]:
    """Findings as (rule, key), the contract's and its falsifier's standing being the same."""
    block = (
        f"discharge:\n  standing: {stored}\n  falsifiers:\n"
        f"    {name}: {{standing: {stored}, have: [{have}], missing: [], evidence: []}}\n"
    )
    answer = Discharge(
        standing=supported,  # type: ignore[arg-type]
        falsifiers={ID: FalsifierDischarge(standing=supported, have=has)},  # type: ignore[arg-type]
    )
    found = run_rules(
        context(GOOD + block, discharges={"rope": answer}, blocks={"rope": BlockOrigin(origin)}), {Stage.EVIDENCE}
    )
    return [(item.rule, item.key) for item in found]


CONTRACT, FALSIFIER = "discharge.standing", f"discharge.falsifiers.{ID}.standing"


@pytest.mark.parametrize("standing", ["OPEN", "PARTIAL", "DISCHARGED", "FALSIFIED", "STALE", "WAIVED"])
def test_a_block_that_says_what_the_evidence_says_is_fine(standing):
    assert lint(standing, standing) == []


@pytest.mark.parametrize(
    ("stored", "supported"),
    [
        ("DISCHARGED", "OPEN"),
        ("DISCHARGED", "PARTIAL"),
        ("DISCHARGED", "WAIVED"),
        ("PARTIAL", "OPEN"),
        ("DISCHARGED", "FALSIFIED"),
        ("OPEN", "FALSIFIED"),
        ("WAIVED", "FALSIFIED"),
        ("STALE", "FALSIFIED"),
    ],
)
def test_a_block_that_says_more_or_hides_a_refutation_was_edited(stored, supported):
    assert lint(stored, supported) == [("edited-discharge", CONTRACT), ("edited-discharge", FALSIFIER)]


@pytest.mark.parametrize(
    ("stored", "supported"),
    [
        ("DISCHARGED", "STALE"),
        ("PARTIAL", "STALE"),
        ("PARTIAL", "DISCHARGED"),
        ("FALSIFIED", "DISCHARGED"),
        ("OPEN", "PARTIAL"),
        ("WAIVED", "OPEN"),
    ],
)
def test_a_block_that_was_true_or_says_less_is_stale(stored, supported):
    assert lint(stored, supported) == [("stale-discharge", CONTRACT), ("stale-discharge", FALSIFIER)]


def test_a_target_without_evidence_was_edited_in():
    assert lint("PARTIAL", "PARTIAL", have="cpu, cuda", has=("cpu",)) == [
        ("edited-discharge", f"discharge.falsifiers.{ID}.have")
    ]


def test_after_a_falsifier_was_renamed_the_block_is_stale_and_not_edited():
    """The contract's own standing fell because of the new name, not because somebody improved the block."""
    assert lint("DISCHARGED", "OPEN", name="FALSIFY-ROPE-000") == [
        ("stale-discharge", CONTRACT),
        ("stale-discharge", "discharge.falsifiers.FALSIFY-ROPE-000"),
    ]


@pytest.mark.parametrize(
    ("origin", "supported", "said"),
    [
        ("last", "OPEN", []),
        ("last", "PARTIAL", [("stale-discharge", CONTRACT), ("stale-discharge", FALSIFIER)]),
        ("earlier", "OPEN", [("stale-discharge", "discharge")]),
        ("earlier", "PARTIAL", [("stale-discharge", CONTRACT), ("stale-discharge", FALSIFIER)]),
        ("earlier", "FALSIFIED", [("edited-discharge", CONTRACT), ("edited-discharge", FALSIFIER)]),
        ("unknown", "OPEN", [("edited-discharge", "discharge")]),
        ("unknown", "PARTIAL", [("edited-discharge", "discharge")]),
        ("unrecorded", "OPEN", [("edited-discharge", "discharge")]),
        ("unknown", "FALSIFIED", [("edited-discharge", CONTRACT), ("edited-discharge", FALSIFIER)]),
    ],
)
def test_the_ledger_says_where_a_block_comes_from(origin, supported, said):
    """The block is OPEN; one cause is one finding for each place, whatever the evidence says besides."""
    assert lint("OPEN", supported, origin=origin) == said


def test_contract_whose_evidence_was_not_looked_at_is_not_judged():
    block = "discharge:\n  standing: DISCHARGED\n"
    assert run_rules(context(GOOD + block, discharges={}), {Stage.EVIDENCE}) == []
