"""Every rule fires on its bad example; good examples are clean. A new example is a folder, not code."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from pv.bind.collect import collect
from pv.lint.engine import run, run_rules
from pv.lint.registry import RULES, RULES_BY_NAME
from pv.lint.rule import LateRule
from pv.report import REPORTERS
from pv.report.findings import FindingReport, Totals
from pv.schema.binding import Collection
from pv.schema.settings import Settings
from support.lint_examples import ROOT, Example, examples

# What else is wrong where one problem cannot be shown alone.
ALSO = {"more-findings": {"unknown-key"}}


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """All examples with tests, collected by one child."""
    root = tmp_path_factory.mktemp("examples")
    for rule in RULES_BY_NAME:
        for kind in ("good", "bad"):
            if (ROOT / rule / kind / "falsifiers").is_dir():
                shutil.copytree(ROOT / rule / kind, root / rule / kind)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("test_*.py"))
    return collect(root, Settings(import_mode="importlib"), files)


def test_every_rule_has_examples():
    assert {item.rule for item in examples("good")} == set(RULES_BY_NAME)
    assert {item.rule for item in examples("bad")} == set(RULES_BY_NAME)


@pytest.mark.parametrize("example", examples("bad"), ids=lambda item: item.rule)
def test_bad_example_shows_its_problem_and_no_other(example: Example, collection: Collection):
    found = run_rules(example.context(collection), example.stages)
    rule = RULES_BY_NAME[example.rule]
    assert {item.rule for item in found} == {example.rule} | ALSO.get(example.rule, set())
    assert {item.severity for item in found if item.rule == example.rule} == {rule.severity}


@pytest.mark.parametrize("example", examples("good"), ids=lambda item: item.rule)
def test_good_example_is_clean(example: Example, collection: Collection):
    assert run_rules(example.context(collection), example.stages) == []


@pytest.mark.parametrize("example", examples("bad"), ids=lambda item: item.rule)
def test_findings_stand_in_a_file_of_the_example(example: Example, collection: Collection):
    found = run_rules(example.context(collection), example.stages)
    for finding in found:
        text = (example.path / finding.location.path).read_text(encoding="utf-8", errors="replace")
        # One more than the lines: an empty file still has a first line.
        assert 1 <= finding.location.line <= text.count("\n") + 1
        assert "\n" not in finding.message
        assert finding.fix or RULES_BY_NAME[finding.rule].fix


@pytest.mark.parametrize("rule", RULES, ids=lambda item: item.name)
def test_check_alone_gives_what_the_engine_gives(rule, collection: Collection):
    example = Example(rule.name, "bad")
    context = example.context(collection)
    outcome = run(context, example.stages)
    own = [item for item in outcome.findings if item.rule == rule.name]
    if isinstance(rule, LateRule):
        context = replace(context, leftover=outcome.leftover)
    assert sorted(rule.check(context), key=lambda item: item.sort_key()) == own


@pytest.mark.parametrize("example", examples("bad"), ids=lambda item: item.rule)
def test_reports_contain_nothing_that_acts_on_a_terminal(example: Example, collection: Collection):
    context = example.context(collection)
    found = run_rules(context, example.stages)
    sources = {loaded.path: loaded.text for loaded in context.catalog.loaded}
    report = FindingReport(tuple(found), Totals(1, 1, 1), sources=sources)
    for name, render in REPORTERS.items():
        text = render(report)
        assert all(char.isprintable() for char in text.replace("\n", "")), name
        assert text.endswith("\n")
