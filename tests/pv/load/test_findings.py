"""Findings of typing: every one in one pass, each with its place, key path and remedy."""

from __future__ import annotations

import random

import pytest

from pv.load import LOADER_RULES, load_mapping, load_model, load_text
from pv.load.fields import fields_at
from pv.load.rules import WARNINGS
from pv.load.sink import MAX_FINDINGS
from pv.schema.base import Model, Text
from pv.schema.contract import Contract
from pv.schema.finding import Severity
from support.contract_text import VALID, after, edited

BROKEN = """\
id: rms-norm
version: 1.0
kind: kernal
titel: RMS norm
description:
references: a paper
equations:
  "Bad Key": {formula: a, domain: b, codomain: c}
obligations:
  - id: close
    type: bound
    property: [p]
    tolerence: {metric: m}
    exact: no
  - id: near
    type: bound
    property: p
    tolerance: {metric: m, limit: 1e-3, resaon: r}
falsifiers:
  - id: FALSIFY-RMS-001
    refutes: []
    prediction: p
    test: t
    targets: [gpu]
    challenges: [faults, [1]]
"""


def test_all_findings_come_in_one_pass() -> None:
    """Places counted by hand in BROKEN."""
    loaded = load_text(BROKEN.encode(), "c.yaml")
    found = [(str(item.location), item.rule, item.key, item.subject) for item in loaded.findings]
    assert loaded.contract is None
    assert found == [
        ("c.yaml:2:10", "invalid-value", "version", "rms-norm"),
        ("c.yaml:3:7", "invalid-value", "kind", "rms-norm"),
        ("c.yaml:4:1", "unknown-key", "titel", "rms-norm"),
        ("c.yaml:5:13", "wrong-type", "description", "rms-norm"),
        ("c.yaml:6:13", "wrong-type", "references", "rms-norm"),
        ("c.yaml:8:3", "invalid-value", "equations.Bad Key", "rms-norm"),
        ("c.yaml:12:15", "wrong-type", "obligations[0].property", "close"),
        ("c.yaml:13:5", "unknown-key", "obligations[0].tolerence", "close"),
        ("c.yaml:14:12", "invalid-value", "obligations[0].exact", "close"),
        ("c.yaml:18:5", "missing-key", "obligations[1].tolerance.unit", "near"),
        ("c.yaml:18:41", "unknown-key", "obligations[1].tolerance.resaon", "near"),
        ("c.yaml:20:5", "missing-key", "falsifiers[0].if_fails", "FALSIFY-RMS-001"),
        ("c.yaml:21:14", "invalid-value", "falsifiers[0].refutes", "FALSIFY-RMS-001"),
        ("c.yaml:24:15", "invalid-value", "falsifiers[0].targets[0]", "FALSIFY-RMS-001"),
        ("c.yaml:25:18", "invalid-value", "falsifiers[0].challenges[0]", "FALSIFY-RMS-001"),
        ("c.yaml:25:26", "wrong-type", "falsifiers[0].challenges[1]", "FALSIFY-RMS-001"),
    ]


def message(raw: bytes | str) -> tuple[str, str]:
    loaded = load_text(raw if isinstance(raw, bytes) else raw.encode(), "c.yaml")
    (finding,) = loaded.findings
    return finding.message, finding.fix


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            edited("title:", "titel:"),
            ("unknown key 'titel'; did you mean 'title'?", "rename it to 'title'"),
        ),
        (
            edited("metric:", "METRIC:"),
            ("unknown key 'METRIC'; did you mean 'metric'?", "rename it to 'metric'"),
        ),
        (
            edited("kernel", "kernal"),
            (
                "expected one of kernel, format, parity, model, pipeline, gate, process; got 'kernal'; "
                "did you mean 'kernel'?",
                "",
            ),
        ),
        (edited("[close]", "close"), ("expected a list, got 'close'", "write [close]")),
        (after("references:\n"), ("expected a list, got nothing", "write [] or remove the key")),
        (edited("id: rms-norm\n", ""), ("key 'id' is missing", "")),
        (edited(", unit: \"1\"", ""), ("key 'unit' is missing in obligations[0].tolerance", "")),
        (edited("1.10.0", "1.10"), ("expected a version of three numbers such as '1.0.0', got '1.10'", "")),
        (
            edited("[cpu]", "[cpu, gpu]"),
            ("expected one of cpu, cpu-oracle, cuda, cuda:sm_90, cuda-interpreted, cuda-compiled, got 'gpu'", ""),
        ),
        (after("    timeout_s: 1e5\n"), ("expected at most 86400, got '1e5'", "")),
        (edited("RMS norm", "null"), ("expected text, got nothing", "")),
        (edited("RMS norm", '"null"'), None),
        (edited("RMS norm", '" "'), ("expected text, got ' '", "")),
        (edited("rms-norm", "r" * 200), (f"expected at most 128 characters, got '{'r' * 57}...'", "")),
    ],
)  # fmt: skip
def test_message_says_what_was_expected_and_what_came(raw: str, expected: tuple[str, str] | None) -> None:
    if expected is None:
        assert load_text(raw.encode() if isinstance(raw, str) else raw, "c.yaml").contract is not None
    else:
        assert message(raw) == expected


def keys_by_level() -> list[tuple[str, str]]:
    """(line that starts a level, key on it) for every key of VALID."""
    keys = []
    for line in VALID.splitlines():
        key, colon, _ = line.removeprefix("  - ").strip().partition(":")
        if colon and key != "rms":
            keys.append((line, key))
    return keys


def typo(word: str, rng: random.Random) -> str:
    while True:
        position = rng.randrange(len(word))
        letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
        changed = rng.choice(
            (
                word[:position] + word[position + 1 :],
                word[:position] + letter + word[position:],
                word[:position] + letter + word[position + 1 :],
                word[:position] + word[position : position + 2][::-1] + word[position + 2 :],
            )
        )
        if changed not in ("", word):
            return changed


def test_300_typos_in_keys_are_caught() -> None:
    rng = random.Random(20260101)
    suggested = 0
    for _ in range(300):
        line, key = rng.choice(keys_by_level())
        wrong = typo(key, rng)
        raw = VALID.replace(line, line.replace(f"{key}:", f"{wrong}:", 1), 1)
        loaded = load_text(raw.encode(), "c.yaml")
        assert loaded.contract is None
        assert {item.rule for item in loaded.findings} <= {"unknown-key", "missing-key", "duplicate-key"}, wrong
        suggested += any(repr(key) in item.message for item in loaded.findings if item.rule == "unknown-key")
    # Short keys such as `id` and `type` lose all likeness by one letter.
    assert suggested > 240


def test_more_findings_than_anyone_reads_are_counted() -> None:
    loaded = load_text(after("".join(f"k{number}: 1\n" for number in range(250))), "c.yaml")
    assert len(loaded.findings) == MAX_FINDINGS + 1
    assert loaded.findings[-1].rule == "more-findings"
    assert loaded.findings[-1].severity is Severity.INFO
    assert loaded.findings[-1].message == "150 more findings in this file are not shown"


def test_unreadable_contract_still_has_its_id() -> None:
    loaded = load_text(edited("title:", "titel:").encode(), "c.yaml")
    assert loaded.contract is None
    assert loaded.id == "rms-norm"


def test_keys_at_every_level_are_known() -> None:
    assert fields_at(Contract, ("obligations", 0, "tolerance")) == ("metric", "limit", "bound", "unit", "reason")
    assert fields_at(Contract, ("equations", "any"))[0] == "formula"
    assert fields_at(Contract, ("falsifiers", 3, "challenges", 0)) == ("fault", "grade")
    assert fields_at(Contract, ("title",)) == ()


def test_other_models_are_read_by_the_same_rules() -> None:
    class Question(Model):
        question: Text

    assert load_model(b"question: may it ship\n", "q.yaml", Question).model == Question(question="may it ship")
    parsed = load_model(b"qestion: may it ship\n", "q.yaml", Question)
    assert parsed.model is None
    assert [item.message for item in parsed.findings] == ["unknown key 'qestion'; did you mean 'question'?"]


def test_mapping_is_text_all_the_way_down() -> None:
    data, findings, places = load_mapping(b"a: {b: [1e-3, null, 'null']}\n", "m.yaml")
    assert data == {"a": {"b": ["1e-3", None, "null"]}}
    assert findings == ()
    assert str(places.get(("a", "b", 2))) == "m.yaml:1:21"


def test_mapping_that_is_none_says_why() -> None:
    data, findings, _ = load_mapping(b"- 1\n", "m.yaml")
    assert data is None
    assert [item.rule for item in findings] == ["not-a-mapping"]


def test_warnings_are_loader_rules() -> None:
    assert LOADER_RULES.keys() >= WARNINGS
    assert all(name == name.lower() and "_" not in name for name in LOADER_RULES)
