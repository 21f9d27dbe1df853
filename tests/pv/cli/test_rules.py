"""`pv rules`: the whole list, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pv.lint.registry import RULES
from support.pv_command import Pv


@pytest.fixture
def pv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    return Pv(tmp_path, monkeypatch, capsys)


def test_text_has_every_rule_once_and_the_sum(pv):
    said = pv("rules")
    assert (said.code, said.err) == (0, "")
    *lines, last = said.out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == [rule.name for rule in RULES]
    assert last.startswith(f"{len(RULES)} rules: ")
    assert max(len(line) for line in lines) <= 120


def test_json_has_the_documentation(pv):
    document = json.loads(pv("rules", "--output-format", "json").out)
    assert document["schema"] == "pv.rules/1"
    assert [rule["name"] for rule in document["rules"]] == [rule.name for rule in RULES]
    first = document["rules"][0]
    assert first == {
        "name": RULES[0].name,
        "severity": "error",
        "stage": "file",
        "summary": "A file uses an anchor or an alias.",
        "fix": RULES[0].fix,
        "documentation": RULES[0].documentation,
    }
