from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class ToleranceAndExact(Rule):
    """An obligation claims equality and allows a difference.

    ## What it does
    Looks for obligations with both `exact: true` and `tolerance`.

    ## Why is this bad?
    The two say opposite things. The test follows one of them, and readers will believe the other.

    ## Example
    ```yaml
    exact: true
    tolerance: {metric: max_abs_error, limit: 1.0e-3, unit: logit, reason: ...}
    ```

    ## Use instead
    ```yaml
    exact: true
    ```

    ## References
    - `pv explain missing-tolerance`
    """

    name = "tolerance-and-exact"
    fix = "keep the one that the test checks"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, obligation in enumerate(contract.obligations):
                if obligation.exact and obligation.tolerance is not None:
                    yield self.at(
                        loaded,
                        ("obligations", index, "exact"),
                        f"obligation {obligation.id!r} is exact and has a tolerance",
                        subject=f"{contract.id}/{obligation.id}",
                        related=(("the tolerance", loaded.locations.key(("obligations", index, "tolerance"))),),
                    )
