"""Findings as workflow commands, which GitHub shows at the line of a change.

    ::error file=contracts/rope-v1.yaml,line=14,col=7,title=missing-tolerance::obligation ...

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from pv.report.escape import visible
from pv.report.findings import FindingReport
from pv.schema.finding import Finding, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def findings(report: FindingReport) -> str:
    return "\n".join([*(_command(report, item) for item in report.findings), report.summary]) + "\n"


def _command(report: FindingReport, finding: Finding) -> str:
    location = finding.location
    properties = {"file": location.path, "line": location.line, "col": location.column}
    if location.end_line == location.line and location.end_column > location.column:
        properties["endColumn"] = location.end_column
    properties["title"] = finding.rule
    listed = ",".join(f"{name}={property_value(str(value))}" for name, value in properties.items())
    fix = report.fix(finding)
    message = finding.message + (f"; {fix}" if fix else "")
    return f"::{_COMMANDS[finding.severity]} {listed}::{data(message)}"


def data(text: str) -> str:
    return visible(text).replace("%", "%25")


def property_value(text: str) -> str:
    return data(text).replace(":", "%3A").replace(",", "%2C")
