"""A report with one finding of each severity, for tests of renderers."""

from __future__ import annotations

from pv.report.findings import FindingReport, RuleText, Totals
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location

CONTRACT = """id: q4k-matvec
version: 2.0.0
falsifiers:
  - id: FALSIFY-Q4K-003
    test: falsifiers/test_q4k.py::test_outlier
"""

DANGLING = Finding(
    rule="dangling-test",
    severity=Severity.ERROR,
    message="falsifier 'FALSIFY-Q4K-003' names a test that pytest does not collect",
    location=Location("contracts/q4k-matvec-v2.yaml", 5, 11, 5, 47),
    subject="FALSIFY-Q4K-003",
    key="falsifiers[0].test",
)
ORPHAN = Finding(
    rule="orphan-marker",
    severity=Severity.WARNING,
    message="no contract has a falsifier 'FALSIFY-Q4K-004'",
    location=Location("falsifiers/test_q4k.py", 12, 1, 12, 1),
    fix="correct the id",
    subject="FALSIFY-Q4K-004",
    related=(("a note", Location("contracts/q4k-matvec-v2.yaml", 4, 5, 4, 7)),),
)
TOTALS = Totals(contracts=12, obligations=30, falsifiers=148, bound=141, unbound=4, dangling=3)
RULES = {
    "dangling-test": RuleText(
        "dangling-test", Severity.ERROR, "A falsifier names no test.", "correct the node id", "## What it does\n..."
    )
}


def report(*findings: Finding, totals: Totals = TOTALS, sources: dict[str, str] | None = None) -> FindingReport:
    return FindingReport(
        findings=findings,
        totals=totals,
        rules=RULES,
        sources={"contracts/q4k-matvec-v2.yaml": CONTRACT} if sources is None else sources,
        version="1.2.3",
    )
