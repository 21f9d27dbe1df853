"""Collects the findings of one file, in order, up to a limit."""

from __future__ import annotations

from typing import Final

from pv.load.rules import LOADER_RULES, WARNINGS
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location

MAX_FINDINGS: Final = 100
"""Per file; a file with more is broken in one way many times."""

Span = tuple[int, int, int, int]
"""line, column, end line, end column: 1-based, columns in code points, the end exclusive."""


class Sink:
    def __init__(self, path: str) -> None:
        self.path = path
        self._findings: list[Finding] = []
        self._hidden = 0

    def add(
        self,
        rule: str,
        message: str,
        span: Span,
        *,
        fix: str = "",
        key: str = "",
        subject: str = "",
        related: tuple[tuple[str, Span], ...] = (),
    ) -> None:
        assert rule in LOADER_RULES, rule
        if self.full:
            self._hidden += 1
            return
        severity = Severity.WARNING if rule in WARNINGS else Severity.ERROR
        places = tuple((note, Location(self.path, *place)) for note, place in related)
        self._findings.append(Finding(rule, severity, message, Location(self.path, *span), fix, subject, key, places))

    def hide(self, count: int) -> None:
        """Count findings that were not even worded."""
        self._hidden += count

    @property
    def full(self) -> bool:
        return len(self._findings) >= MAX_FINDINGS

    @property
    def has_errors(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self._findings)

    def findings(self) -> tuple[Finding, ...]:
        found = sorted(self._findings, key=Finding.sort_key)
        if self._hidden:
            note = f"{self._hidden} more findings in this file are not shown"
            found.append(Finding("more-findings", Severity.INFO, note, found[-1].location))
        return tuple(found)
