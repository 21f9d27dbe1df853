from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location

if TYPE_CHECKING:
    from pv.diff import Demand


class MissingVersionBump(Rule):
    """A contract changed more than its version says.

    ## What it does
    With `--since REF` it compares every contract with its version in that commit. What claims something else or claims
    less needs a higher major version, what claims more a minor one, other words a patch. A contract that is gone, and
    one that had errors in that commit, give a warning.

    ## Why is this bad?
    A tolerance that quietly rises from 1e-3 to 1e-1 keeps its tests green and its users wrong.

    ## Example
    ```yaml
    version: 1.0.1            # was 1.0.0
    tolerance: {limit: 1e-1}  # was 1e-3
    ```

    ## Use instead
    ```yaml
    version: 2.0.0
    tolerance: {limit: 1e-1}
    ```

    ## References
    - `pv diff REF`
    """

    name = "missing-version-bump"
    suppressible = False
    fix = "raise the version, and rename the file if its major part changes; 'pv diff' shows every change"

    def check(self, context: LintContext) -> Iterable[Finding]:
        previous = context.previous or {}
        if not previous:
            return
        from pv.diff import demand  # only --since needs it

        for loaded, contract in context.readable:
            if contract.id not in previous:
                continue
            path, old = previous[contract.id]
            if old is None:
                message = f"contract {contract.id!r} had errors at {context.since}, so its changes are not known"
                yield self._warning(self.at(loaded, ("version",), message, subject=contract.id))
                continue
            asked = demand(old, contract)
            if not asked.is_met:
                yield self.at(loaded, ("version",), _message(asked, context.since), subject=contract.id)
        for name, (path, _) in previous.items():
            if name not in context.contract_ids and name not in context.unreadable_ids:
                message = f"contract {name!r} of {context.since} is gone, with everything it claimed"
                yield self._warning(Finding(self.name, self.severity, message, Location(path), subject=name))

    def _warning(self, finding: Finding) -> Finding:
        return replace(finding, severity=Severity.WARNING)


def _message(asked: Demand, since: str) -> str:
    if asked.needs is None:
        return f"version went back from {asked.old} to {asked.new} since {since}"
    strongest = [item for item in asked.changes if item.kind.part is asked.needs]
    first = strongest[0]
    values = f" from {first.old} to {first.new}" if first.old and first.new else ""
    more = f" (and {len(strongest) - 1} more)" if len(strongest) > 1 else ""
    return (
        f"{first.key} changed{values} since {since}, which is {first.kind}{more}: "
        f"version {asked.old} must become {asked.example} or higher, got {asked.new}"
    )
