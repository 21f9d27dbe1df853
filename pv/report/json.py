"""Findings for programs.

    {"schema": "pv.lint/1",
     "findings": [{"rule", "severity", "message", "fix", "subject", "key", "location", "related"}],
     "totals": {"contracts", "unreadable", "obligations", "falsifiers", "bound", "unbound", "dangling",
                "suppressed", "baselined", "errors", "warnings", "notes"}}

A location is `{"path", "line", "column", "end_line", "end_column"}`: 1-based, the end exclusive, the path relative to
the project's root. `bound`, `unbound` and `dangling` are null where tests were not collected, `baselined` is null
without a baseline. Within `pv.lint/1` keys are only ever added.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pv.report.findings import FindingReport
from pv.schema.finding import Finding, Severity

SCHEMA = "pv.lint/1"


def findings(report: FindingReport) -> str:
    document = {
        "schema": SCHEMA,
        "findings": [_finding(report, item) for item in report.findings],
        "totals": asdict(report.totals)
        | {
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "notes": report.count(Severity.INFO),
        },
    }
    # ASCII only: hidden characters of a contract arrive as escapes and never act on a terminal.
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _finding(report: FindingReport, finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "message": finding.message,
        "fix": report.fix(finding),
        "subject": finding.subject,
        "key": finding.key,
        "location": asdict(finding.location),
        "related": [{"note": note, "location": asdict(place)} for note, place in finding.related],
    }
