"""Workflow commands: a contract's text must not be able to write one of its own."""

from __future__ import annotations

from pv.report.github import findings
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location
from support.findings import DANGLING, ORPHAN, report


def test_one_command_per_finding_and_the_summary():
    assert findings(report(DANGLING, ORPHAN)) == (
        "::error file=contracts/q4k-matvec-v2.yaml,line=5,col=11,endColumn=47,title=dangling-test::"
        "falsifier 'FALSIFY-Q4K-003' names a test that pytest does not collect; correct the node id\n"
        "::warning file=falsifiers/test_q4k.py,line=12,col=1,title=orphan-marker::"
        "no contract has a falsifier 'FALSIFY-Q4K-004'; correct the id\n"
        "12 contracts, 148 falsifiers: 141 bound, 4 unbound, 3 dangling. 1 error, 1 warning.\n"
    )


def test_separators_and_line_ends_are_escaped():
    finding = Finding("r", Severity.INFO, "100 %\r\n::error::forged", Location("contracts/a,b:c%.yaml", 1, 1, 1, 1))
    first, _ = findings(report(finding)).splitlines()
    assert first == ("::notice file=contracts/a%2Cb%3Ac%25.yaml,line=1,col=1,title=r::100 %25\\x0d\\n::error::forged")
