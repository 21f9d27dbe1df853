from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import LateRule
from pv.schema.finding import Finding, Severity


class UnusedSuppression(LateRule):
    """A suppression hides nothing.

    ## What it does
    After all other rules it looks for entries under `suppress:` whose rule ran and found nothing of that kind. An entry
    of a rule that did not run, because tests were not looked at or it is ignored, is left alone.

    ## Why is this bad?
    The problem is gone or the id is wrong. In the first case the entry waits to hide the next problem; in the second
    it never worked.

    ## Example
    ```yaml
    suppress:
      - {rule: missing-reference, id: rope, reason: paper is not public, owner: kernels team, until: 2027-01-31}
    references:
      - https://arxiv.org/abs/2104.09864
    ```

    ## Use instead
    ```yaml
    references:
      - https://arxiv.org/abs/2104.09864
    ```

    ## References
    - `pv explain expired-suppression`
    """

    name = "unused-suppression"
    severity = Severity.WARNING
    fix = "remove the entry, or correct its id"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for path, index in context.leftover.suppressions:
            loaded = context.by_path[path]
            assert loaded.contract is not None
            item = loaded.contract.suppress[index]
            yield self.at(
                loaded,
                ("suppress", index),
                f"suppression of {item.rule} for {item.id!r} hides nothing",
                subject=f"{loaded.contract.id}/{item.id}",
            )
