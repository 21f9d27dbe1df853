"""SARIF: the parts that code scanning services rely on, as the standard words them.

The schema below was written from SARIF 2.1.0, sections 3.13, 3.14, 3.18, 3.19, 3.27, 3.28, 3.29, 3.30 and 3.49; it is
closed, so that a misspelt property is an error, which the official schema is as well.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from pv.report.sarif import FINGERPRINT, findings
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location
from support.findings import DANGLING, ORPHAN, report


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


POSITIVE = {"type": "integer", "minimum": 1}
MESSAGE = closed(["text"], text={"type": "string", "minLength": 1})
LEVEL = {"enum": ["none", "note", "warning", "error"]}
PHYSICAL = closed(
    ["artifactLocation", "region"],
    artifactLocation=closed(
        ["uri"],
        uri={"type": "string", "pattern": r"^(?!/)(?![A-Za-z][A-Za-z0-9+.-]*:)[!-~]+$"},
        uriBaseId={"type": "string"},
    ),
    region=closed(["startLine"], startLine=POSITIVE, startColumn=POSITIVE, endLine=POSITIVE, endColumn=POSITIVE),
)
RULE = closed(
    ["id"],
    id={"type": "string"},
    shortDescription=MESSAGE,
    help=closed(["text"], text={"type": "string"}, markdown={"type": "string"}),
    defaultConfiguration=closed([], level=LEVEL),
)
RESULT = closed(
    ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations={"type": "array", "minItems": 1, "items": closed(["physicalLocation"], physicalLocation=PHYSICAL)},
    relatedLocations={
        "type": "array",
        "uniqueItems": True,
        "items": closed(
            ["physicalLocation"], id={"type": "integer", "minimum": 0}, message=MESSAGE, physicalLocation=PHYSICAL
        ),
    },
    partialFingerprints={"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
)
DRIVER = closed(
    ["name"],
    name={"const": "pv"},
    semanticVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
    rules={"type": "array", "uniqueItems": True, "items": RULE},
)
RUN = closed(
    ["tool", "results"],
    tool=closed(["driver"], driver=DRIVER),
    columnKind={"const": "unicodeCodePoints"},
    originalUriBaseIds={"type": "object", "additionalProperties": closed([], description=MESSAGE)},
    results={"type": "array", "items": RESULT},
)
SCHEMA = closed(
    ["version", "runs"],
    **{
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 1, "items": RUN},
    },
)


def document(*items: Finding) -> dict[str, Any]:
    return json.loads(findings(report(*items)))


def fingerprint(*items: Finding) -> list[str]:
    return [result["partialFingerprints"][FINGERPRINT] for result in document(*items)["runs"][0]["results"]]


@pytest.mark.parametrize("items", [(), (DANGLING, ORPHAN), (DANGLING, DANGLING)], ids=["none", "two", "twice"])
def test_document_follows_the_standard(items):
    jsonschema.validate(document(*items), SCHEMA)


def test_rule_index_points_at_the_rule():
    run = document(DANGLING, ORPHAN)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == ["dangling-test", "orphan-marker"]
    assert [result["level"] for result in run["results"]] == ["error", "warning"]


def test_paths_are_relative_uris():
    finding = Finding("r", Severity.ERROR, "m", Location("contracts/a b#\u00e4.yaml"))
    result = document(finding)["runs"][0]["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {
        "uri": "contracts/a%20b%23%C3%A4.yaml",
        "uriBaseId": "ROOT",
    }


def test_fingerprint_survives_moved_lines_and_moved_list_items():
    moved = replace(DANGLING, location=Location("contracts/q4k-matvec-v2.yaml", 50, 3, 50, 9), key="falsifiers[7].test")
    assert fingerprint(DANGLING) == fingerprint(moved)


@pytest.mark.parametrize(
    "changed",
    [replace(DANGLING, rule="other"), replace(DANGLING, subject="FALSIFY-Q4K-009"), replace(DANGLING, key="title")],
    ids=["rule", "subject", "key"],
)
def test_fingerprint_tells_problems_apart(changed):
    assert fingerprint(DANGLING) != fingerprint(changed)


def test_same_problem_twice_has_two_fingerprints():
    first, second = fingerprint(DANGLING, replace(DANGLING, key="falsifiers[1].test"))
    assert first != second


def test_hidden_characters_of_a_message_are_escaped():
    text = findings(report(Finding("r", Severity.ERROR, "a\u202eb", Location("p"))))
    assert json.loads(text)["runs"][0]["results"][0]["message"]["text"] == "a\\u202eb"
