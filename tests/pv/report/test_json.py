"""What programs read."""

from __future__ import annotations

import json

from pv.report.findings import Totals
from pv.report.json import findings
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location
from support.findings import DANGLING, ORPHAN, report


def test_document_is_complete():
    assert json.loads(findings(report(DANGLING, ORPHAN))) == {
        "schema": "pv.lint/1",
        "findings": [
            {
                "rule": "dangling-test",
                "severity": "error",
                "message": "falsifier 'FALSIFY-Q4K-003' names a test that pytest does not collect",
                "fix": "correct the node id",
                "subject": "FALSIFY-Q4K-003",
                "key": "falsifiers[0].test",
                "location": {
                    "path": "contracts/q4k-matvec-v2.yaml",
                    "line": 5,
                    "column": 11,
                    "end_line": 5,
                    "end_column": 47,
                },
                "related": [],
            },
            {
                "rule": "orphan-marker",
                "severity": "warning",
                "message": "no contract has a falsifier 'FALSIFY-Q4K-004'",
                "fix": "correct the id",
                "subject": "FALSIFY-Q4K-004",
                "key": "",
                "location": {
                    "path": "falsifiers/test_q4k.py",
                    "line": 12,
                    "column": 1,
                    "end_line": 12,
                    "end_column": 1,
                },
                "related": [
                    {
                        "note": "a note",
                        "location": {
                            "path": "contracts/q4k-matvec-v2.yaml",
                            "line": 4,
                            "column": 5,
                            "end_line": 4,
                            "end_column": 7,
                        },
                    }
                ],
            },
        ],
        "totals": {
            "contracts": 12,
            "unreadable": 0,
            "obligations": 30,
            "falsifiers": 148,
            "bound": 141,
            "unbound": 4,
            "dangling": 3,
            "suppressed": 0,
            "baselined": None,
            "errors": 1,
            "warnings": 1,
            "notes": 0,
        },
    }


def test_totals_without_binding_facts_are_null_and_not_zero():
    totals = json.loads(findings(report(totals=Totals(1, 1, 1))))["totals"]
    assert (totals["bound"], totals["unbound"], totals["dangling"]) == (None, None, None)


def test_hidden_characters_survive_as_escapes():
    text = findings(report(Finding("r", Severity.ERROR, "a\u202eb\x1bc", Location("p"))))
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["findings"][0]["message"] == "a\u202eb\x1bc"
