"""`pv explain`: every name that another command prints can be looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.lint.registry import RULES
from pv.report.topics import TOPICS
from pv.schema.verdict import ChallengeOutcome, GateAnswer, Result, Standing
from support.pv_command import Ended, Pv


@pytest.fixture
def pv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    return Pv(tmp_path, monkeypatch, capsys)


def test_exit_codes(pv):
    said = pv("explain", "exit-codes")
    assert (said.code, said.err) == (0, "")
    for code, word in ((0, "clean"), (1, "FALSIFIED"), (2, "usage"), (3, "nothing"), (4, "decide"), (5, "internal")):
        assert any(line.split()[0] == str(code) and word in line for line in said.out.splitlines() if line.strip())
    assert "130  interrupted" in said.out


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule(rule, pv):
    said = pv("explain", rule.name)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{rule.name} ({rule.severity}, found in the {rule.stage} stage")
    assert rule.documentation in said.out
    assert all(line.isprintable() for line in said.out.splitlines())


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("missing-marker", "warning, found in the binding stage; an error under --strict-test-binding"),
        ("dangling-test", "error, found in the binding stage"),
        ("unknown-key", "error, found in the file stage; cannot be ignored, because the file was not read"),
        ("byte-order-mark", "warning, found in the file stage"),
    ],
)
def test_facts_of_a_rule(pv, name, facts):
    assert pv("explain", name).out.splitlines()[0] == f"{name} ({facts})"


@pytest.mark.parametrize("word", [*Standing, *Result, *ChallengeOutcome, *GateAnswer, "cpu", "cuda:sm_90", "targets"])
def test_every_word_of_a_report(word, pv):
    said = pv("explain", str(word))
    assert (said.code, said.err) == (0, "")
    assert said.out == TOPICS[word] + "\n"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("discharged", "DISCHARGED"),
        ("NOT-RUN", "NOT_RUN"),
        ("cannot-decide", "CANNOT DECIDE"),
        ("Exit_Codes", "exit-codes"),
    ],
)
def test_spelling_is_forgiven(asked, found, pv):
    assert pv("explain", asked).out == TOPICS[found] + "\n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("dangling-tests", "pv: nothing is called 'dangling-tests'; did you mean 'dangling-test'?\n"),
        ("DISCHARGD", "pv: nothing is called 'DISCHARGD'; did you mean 'DISCHARGED'?\n"),
        ("zzzz", "pv: nothing is called 'zzzz'; pv rules lists the rules, and see pv explain --help\n"),
    ],
)
def test_unknown_name_is_2(asked, message, pv):
    said = pv("explain", asked)
    assert said == Ended(2, "", message)
