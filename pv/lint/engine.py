"""Run rules over a context."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from pv.lint.context import LintContext
from pv.lint.registry import RULES
from pv.lint.rule import Rule, Stage
from pv.schema.finding import Finding, Severity


def run_rules(
    context: LintContext,
    stages: Collection[Stage],
    *,
    strict: bool = False,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    rules: tuple[Rule, ...] = RULES,
) -> list[Finding]:
    """Findings of the given stages, by place.

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
    for rule in rules:
        if rule.stage is not Stage.FILE and rule.stage in stages and wanted(rule.name):
            raised = strict and rule.stage is Stage.BINDING
            found += [_as_error(item) if raised else item for item in rule.check(context)]
    return sorted(found, key=Finding.sort_key)


def _file_findings(context: LintContext) -> Iterator[Finding]:
    # Straight from the loader, not through its rules: a finding under a name nobody registered is shown as well.
    for loaded in context.catalog.loaded:
        yield from loaded.findings


def _as_error(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.ERROR) if finding.severity is Severity.WARNING else finding
