from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.contract import MAX_SUPPRESSION_DAYS as MAX_DAYS
from pv.schema.finding import Finding, Severity


class PerpetualSuppression(Rule):
    """A suppression lasts longer than a year.

    ## What it does
    Compares `until` with today's date in UTC and reports more than 366 days. Such a suppression hides nothing.

    ## Why is this bad?
    A date that nobody expects to reach is no date: the finding would be gone for good, and with it the reason to look.

    ## Example
    ```yaml
    suppress:
      - {rule: missing-reference, id: rope, reason: paper is not public, owner: kernels team, until: 2099-12-31}
    ```

    ## Use instead
    A date by which somebody looks again, at most a year away.
    ```yaml
    suppress:
      - {rule: missing-reference, id: rope, reason: paper is not public, owner: kernels team, until: 2027-01-31}
    ```

    ## References
    - `pv explain expired-suppression`
    - `pv explain perpetual-waiver`
    """

    name = "perpetual-suppression"
    severity = Severity.WARNING
    suppressible = False
    fix = "choose a day within a year; the suppression can be renewed"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, item in enumerate(contract.suppress):
                days = (item.until - context.today).days
                if days > MAX_DAYS:
                    yield self.at(
                        loaded,
                        ("suppress", index, "until"),
                        f"suppression of {item.rule} for {item.id!r} lasts {days} more days, at most {MAX_DAYS} count",
                        subject=f"{contract.id}/{item.id}",
                    )
