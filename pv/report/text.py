"""Findings for people: `full` with source and remedy, `concise` with one line each."""

from __future__ import annotations

from pv.report.escape import visible
from pv.report.excerpt import excerpt
from pv.report.findings import FindingReport
from pv.schema.finding import Finding


def full(report: FindingReport) -> str:
    blocks = ["\n".join(_block(report, finding)) + "\n" for finding in report.findings]
    return "\n".join([*blocks, report.summary]) + "\n"


def concise(report: FindingReport) -> str:
    lines = [f"{visible(str(item.location))}: {item.rule} {visible(item.message)}" for item in report.findings]
    return "\n".join([*lines, report.summary]) + "\n"


def _block(report: FindingReport, finding: Finding) -> list[str]:
    location = finding.location
    gutter = " " * len(str(location.line))
    lines = [
        f"{finding.severity}[{finding.rule}]: {visible(finding.message)}",
        f"{gutter}--> {visible(str(location))}",
        *excerpt(report.sources, location),
    ]
    lines += [f"{gutter} = note: {visible(note)}: {visible(str(place))}" for note, place in finding.related]
    if fix := report.fix(finding):
        lines.append(f"{gutter} = fix: {visible(fix)}")
    lines.append(f"{gutter} = help: pv explain {finding.rule}")
    return lines
