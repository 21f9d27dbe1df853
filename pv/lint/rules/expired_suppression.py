from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity


class ExpiredSuppression(Rule):
    """A suppression's last day has passed.

    ## What it does
    Compares `until` with today's date in UTC. The suppression counts on its last day; then the finding shows again.

    ## Why is this bad?
    Somebody promised to deal with the finding by this day.

    ## Example
    ```yaml
    suppress:
      - {rule: missing-reference, id: rope, reason: paper is not public, owner: kernels team, until: 2024-06-30}
    ```

    ## Use instead
    ```yaml
    references:
      - https://arxiv.org/abs/2104.09864
    ```

    ## References
    - `pv explain unused-suppression`
    """

    name = "expired-suppression"
    severity = Severity.WARNING
    suppressible = False
    fix = "mend what it hid and remove it, or renew it with a reason"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, item in enumerate(contract.suppress):
                if item.until < context.today:
                    yield self.at(
                        loaded,
                        ("suppress", index, "until"),
                        f"suppression of {item.rule} for {item.id!r} by {item.owner} expired on {item.until}",
                        subject=f"{contract.id}/{item.id}",
                    )
