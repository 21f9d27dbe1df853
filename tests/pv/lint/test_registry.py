"""Rules as a set: names, documentation, order."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from pv.errors import UsageError
from pv.lint import rules
from pv.lint.registry import RULES, RULES_BY_NAME, rule_named
from pv.lint.rule import HEADINGS, LoaderRule, Stage
from pv.load import LOADER_RULES
from pv.report.topics import TOPICS

by_name = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def test_registry_is_sorted_and_names_are_unique():
    names = [rule.name for rule in RULES]
    assert names == sorted(set(names))


def test_every_finding_of_the_loader_has_a_rule_and_no_other_rule_claims_to():
    assert {rule.name for rule in RULES if isinstance(rule, LoaderRule)} == set(LOADER_RULES)
    assert {rule.name for rule in RULES if rule.stage is Stage.FILE} == set(LOADER_RULES)


def test_every_file_of_rules_is_registered():
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {rule.name.replace("-", "_") for rule in RULES}


@by_name
def test_rule_lives_in_a_file_of_its_name(rule):
    assert Path(inspect.getfile(type(rule))).stem == rule.name.replace("-", "_")


@by_name
def test_name_is_a_problem_in_kebab_case_and_not_a_remedy(rule):
    """'allow missing-falsifier' reads well; 'allow require-falsifier' does not."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    remedies = ("avoid", "no", "use", "require", "do-not", "prefer", "check", "ensure", "must", "disallow")
    assert not rule.name.startswith(tuple(f"{word}-" for word in remedies))


@by_name
def test_documentation_has_every_heading_once_in_order_and_nothing_empty(rule):
    summary, *sections = re.split(r"^## (.+)$", rule.documentation, flags=re.MULTILINE)
    assert sections[::2] == list(HEADINGS)
    assert all(len(text.strip()) > 10 for text in sections[1::2])
    assert re.fullmatch(r"[A-Z].*\.", summary.strip())
    assert rule.documentation.count("```") % 2 == 0


@by_name
def test_references_to_other_explanations_exist(rule):
    known = set(RULES_BY_NAME) | set(TOPICS)
    assert set(re.findall(r"`pv explain ([^`]+)`", rule.documentation)) <= known


@by_name
def test_fix_is_one_line_without_full_stop(rule):
    assert "\n" not in rule.fix
    assert not rule.fix.endswith(".")


def test_unknown_name_gets_the_nearest_one():
    with pytest.raises(UsageError, match=r"^no rule is called 'dangling-tests'; did you mean 'dangling-test'\?$"):
        rule_named("dangling-tests")


def test_name_near_to_nothing_gets_the_command_that_lists_them():
    with pytest.raises(UsageError, match=r"^no rule is called 'zzz'; 'pv rules' lists them$"):
        rule_named("zzz")
