"""Which findings are reported, and as what."""

from __future__ import annotations

import pytest

from pv.lint.engine import run_rules
from pv.lint.rule import Stage
from pv.load import Loaded
from pv.schema.binding import Collection
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location
from support.catalogs import GOOD, TEST, collected, context

ALL = frozenset({Stage.FILE, Stage.CATALOG, Stage.BINDING})
WEAK = GOOD.replace("    challenges: [mypackage.faults:rope_on_q_only]\n", "")
UNMARKED = Collection((collected(TEST),))


def names(found: list[Finding]) -> list[str]:
    return [item.rule for item in found]


def test_stages_that_were_not_asked_for_are_not_run():
    assert names(run_rules(context(WEAK), {Stage.FILE})) == []
    assert names(run_rules(context(WEAK), {Stage.CATALOG})) == ["file-name-mismatch", "missing-challenge"]


def test_strict_makes_errors_of_binding_warnings_and_of_no_others():
    found = run_rules(context(WEAK, collection=UNMARKED), ALL, strict=True)
    assert {item.rule: item.severity for item in found} == {
        "file-name-mismatch": Severity.WARNING,
        "missing-challenge": Severity.WARNING,
        "missing-marker": Severity.ERROR,
    }


def test_without_strict_a_missing_marker_is_a_warning():
    found = run_rules(context(collection=UNMARKED), ALL, select=["missing-marker"])
    assert [item.severity for item in found] == [Severity.WARNING]


def test_ignore_is_stronger_than_select():
    found = run_rules(
        context(WEAK),
        ALL - {Stage.BINDING},
        select=["missing-challenge", "file-name-mismatch"],
        ignore=["missing-challenge"],
    )
    assert names(found) == ["file-name-mismatch"]


@pytest.mark.parametrize("choice", [{"ignore": ["unknown-key"]}, {"select": ["missing-challenge"]}], ids=str)
def test_a_file_that_could_not_be_read_stays_in_the_report(choice):
    """Leaving its error out would make the whole contract vanish, and the report green."""
    assert names(run_rules(context(GOOD + "knid: kernel\n"), {Stage.FILE, Stage.CATALOG}, **choice)) == ["unknown-key"]


def test_warning_about_a_file_can_be_ignored():
    text = "\ufeff" + GOOD
    assert names(run_rules(context(text), {Stage.FILE})) == ["byte-order-mark"]
    assert names(run_rules(context(text), {Stage.FILE}, ignore=["byte-order-mark"])) == []


def test_finding_under_an_unregistered_name_is_shown():
    made_up = Finding("not-registered", Severity.ERROR, "m", Location("contracts/c0-v1.yaml"))
    lint = context()
    loaded = lint.catalog.loaded[0]
    broken = Loaded(loaded.path, None, (made_up,), loaded.locations, loaded.source)
    object.__setattr__(lint.catalog, "loaded", (broken,))
    assert run_rules(lint, {Stage.FILE, Stage.CATALOG}) == [made_up]


def test_findings_are_sorted_by_place():
    found = run_rules(context(WEAK, WEAK.replace("id: rope\n", "id: other\n")), {Stage.CATALOG})
    assert [item.location for item in found] == sorted(item.location for item in found)
    assert len({item.location.path for item in found}) == 2
