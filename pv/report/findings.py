"""What every reporter of findings works from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pv.schema.finding import Finding, Severity


@dataclass(frozen=True, slots=True)
class Totals:
    """The denominators of a verdict."""

    contracts: int
    """Contracts that could be read."""
    obligations: int
    falsifiers: int
    unreadable: int = 0
    """Contract files that could not be read, whose claims nobody counted."""
    bound: int | None = None
    """Falsifiers whose test pytest collects and whose test names them back; None without binding facts."""
    unbound: int | None = None
    """Falsifiers that name no test, or whose test does not name them back."""
    dangling: int | None = None
    """Falsifiers that name a test which pytest does not collect."""
    suppressed: int = 0
    """Findings that a contract suppresses."""
    baselined: int | None = None
    """Findings that the baseline knows; None without a baseline."""


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a report says about a rule."""

    name: str
    severity: Severity
    summary: str
    """One sentence: the problem."""
    fix: str
    """One line: the remedy."""
    help: str
    """The whole documentation, in Markdown."""


@dataclass(frozen=True, slots=True)
class FindingReport:
    findings: tuple[Finding, ...]
    """In the order in which they are shown."""
    totals: Totals
    rules: Mapping[str, RuleText] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Text of files by path, for excerpts; a file without text gets no excerpt."""
    version: str = ""
    """Of pv."""

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def severities(self) -> Counter[Severity]:
        return Counter(finding.severity for finding in self.findings)

    def fix(self, finding: Finding) -> str:
        """The finding's own remedy, else its rule's."""
        rule = self.rules.get(finding.rule)
        return finding.fix or (rule.fix if rule else "")

    @property
    def summary(self) -> str:
        """The last line: denominators, then what was found.

        `12 contracts, 148 falsifiers: 141 bound, 4 unbound, 3 dangling. 2 errors, 5 warnings.`
        `... 2 errors, 5 warnings; 1 suppressed, 12 in the baseline.`
        """
        return f"{_denominators(self.totals)}. {_found(self.severities)}{_known(self.totals)}."


def _denominators(totals: Totals) -> str:
    contracts = _number(totals.contracts, "contract")
    falsifiers = _number(totals.falsifiers, "falsifier")
    unreadable = f", {_number(totals.unreadable, 'file')} not readable" if totals.unreadable else ""
    if totals.bound is None:
        return f"{contracts}, {_number(totals.obligations, 'obligation')}, {falsifiers} checked{unreadable}"
    parts = f"{totals.bound} bound, {totals.unbound} unbound, {totals.dangling} dangling"
    return f"{contracts}, {falsifiers}: {parts}{unreadable}"


def _found(severities: Counter[Severity]) -> str:
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    found = [_number(severities[severity], word) for severity, word in words.items() if severities[severity]]
    return ", ".join(found) or "0 errors, 0 warnings"


def _known(totals: Totals) -> str:
    """Findings that are there and not shown."""
    parts = [f"{totals.suppressed} suppressed"] if totals.suppressed else []
    parts += [f"{totals.baselined} in the baseline"] if totals.baselined is not None else []
    return f"; {', '.join(parts)}" if parts else ""


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
