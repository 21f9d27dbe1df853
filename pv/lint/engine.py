"""Run rules over a context, and take out what is known."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from pv.lint.context import LintContext
from pv.lint.filter import without_baseline, without_suppressed
from pv.lint.known import Leftover
from pv.lint.registry import RULES
from pv.lint.rule import LateRule, Rule, Stage
from pv.schema.finding import Finding, Severity


@dataclass(frozen=True, slots=True)
class Outcome:
    findings: list[Finding]
    """New ones, by place."""
    suppressed: tuple[Finding, ...] = ()
    baselined: tuple[Finding, ...] = ()
    leftover: Leftover = field(default_factory=Leftover)


def run_rules(
    context: LintContext,
    stages: Collection[Stage],
    *,
    strict: bool = False,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    rules: tuple[Rule, ...] = RULES,
) -> list[Finding]:
    """New findings of the given stages, by place; see `run`."""
    return run(context, stages, strict=strict, select=select, ignore=ignore, rules=rules).findings


def run(
    context: LintContext,
    stages: Collection[Stage],
    *,
    strict: bool = False,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    rules: tuple[Rule, ...] = RULES,
) -> Outcome:
    """Findings of the given stages, by place, without those that are suppressed or in the baseline.

    Errors of the file stage are never left out, whatever is selected or ignored: a contract that cannot be read has
    not been checked, and leaving its error out would make it vanish.

    Args:
        strict: warnings of the binding stage become errors.
        select: names of rules; empty means all.
        ignore: names of rules; stronger than `select`.
    """
    assert Stage.BINDING not in stages or context.collection is not None, "binding stage without a collection"
    assert Stage.EVIDENCE not in stages or context.discharges is not None, "evidence stage without standings"

    def wanted(name: str) -> bool:
        return name not in ignore and (not select or name in select)

    found = [item for item in _file_findings(context) if item.severity is Severity.ERROR or wanted(item.rule)]
    chosen = [rule for rule in rules if rule.stage in stages and wanted(rule.name)]
    for rule in chosen:
        if rule.stage is not Stage.FILE and not isinstance(rule, LateRule):
            raised = strict and rule.stage is Stage.BINDING
            found += [_as_error(item) if raised else item for item in rule.check(context)]
    found.sort(key=Finding.sort_key)

    kept, idle = without_suppressed(context, found, chosen)
    rest, left = without_baseline(context, kept.findings, chosen)
    leftover = Leftover(idle, left)
    late = replace(context, leftover=leftover)
    shown = [*rest.findings, *(item for rule in chosen if isinstance(rule, LateRule) for item in rule.check(late))]
    return Outcome(sorted(shown, key=Finding.sort_key), kept.known, rest.known, leftover)


def _file_findings(context: LintContext) -> Iterator[Finding]:
    # Straight from the loader, not through its rules: a finding under a name nobody registered is shown as well.
    for loaded in context.files:
        yield from loaded.findings


def _as_error(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.ERROR) if finding.severity is Severity.WARNING else finding
