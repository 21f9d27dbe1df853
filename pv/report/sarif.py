"""Findings as SARIF 2.1.0, for code scanning services.

One run; URIs relative to the project's root; a result's fingerprint is made of the rule, the claim's id and the key's
path without indices, so that it survives edits that only move lines.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import Any
from urllib.parse import quote

from pv.report.escape import visible
from pv.report.findings import FindingReport, RuleText
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
FINGERPRINT = "pvRuleSubject/v1"


def findings(report: FindingReport) -> str:
    names = sorted({item.rule for item in report.findings} | set(report.rules))
    index = {name: position for position, name in enumerate(names)}
    repeats: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "pv",
                "semanticVersion": report.version or "0.0.0",
                "rules": [_rule(name, report.rules.get(name)) for name in names],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"description": {"text": "the project's root"}}},
        "results": [_result(report, item, index, repeats) for item in report.findings],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _rule(name: str, rule: RuleText | None) -> dict[str, Any]:
    if rule is None:
        return {"id": name}
    return {
        "id": name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": rule.fix or rule.summary, "markdown": rule.help},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(report: FindingReport, finding: Finding, index: dict[str, int], repeats: Counter[str]) -> dict[str, Any]:
    fix = report.fix(finding)
    text = visible(finding.message) + (f"; {visible(fix)}" if fix else "")
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": _physical(finding.location)}],
        "partialFingerprints": {FINGERPRINT: _fingerprint(finding, repeats)},
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": visible(note)}, "physicalLocation": _physical(place)}
            for number, (note, place) in enumerate(finding.related)
        ]
    return result


def _physical(location: Location) -> dict[str, Any]:
    region = {"startLine": location.line, "startColumn": location.column}
    if (location.end_line, location.end_column) > (location.line, location.column):
        region |= {"endLine": location.end_line, "endColumn": location.end_column}
    return {
        "artifactLocation": {"uri": quote(location.path, safe="/", errors="surrogateescape"), "uriBaseId": "ROOT"},
        "region": region,
    }


def _fingerprint(finding: Finding, repeats: Counter[str]) -> str:
    key = re.sub(r"\[\d+\]", "[]", finding.key)
    subject = finding.subject or finding.location.path
    identity = f"{finding.rule}\0{subject}\0{key}"
    repeats[identity] += 1
    if repeats[identity] > 1:
        identity += f"\0{repeats[identity]}"
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
