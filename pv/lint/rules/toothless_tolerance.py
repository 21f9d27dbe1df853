from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.contract import Tolerance
from pv.schema.finding import Finding, Severity


class ToothlessTolerance(Rule):
    """A tolerance on a relative error accepts an output of zeros.

    ## What it does
    Reports `at_most` limits of 1 or more, unit `1`, whose metric is called relative.

    ## Why is this bad?
    An output that is zero everywhere has a relative error of exactly 1. A kernel that never ran would pass.

    ## Example
    ```yaml
    tolerance: {metric: relative_error, limit: 1.5, unit: "1", reason: quantisation is coarse}
    ```

    ## Use instead
    ```yaml
    tolerance: {metric: relative_error, limit: 8.0e-2, unit: "1", reason: 4 bits leave 1/30 of the range per step}
    ```

    ## References
    - `pv explain inverted-tolerance`
    """

    name = "toothless-tolerance"
    severity = Severity.WARNING
    fix = "derive the limit from the format or the number of rounding steps; it must be below 1"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, obligation in enumerate(contract.obligations):
                if obligation.tolerance is not None and _accepts_zeros(obligation.tolerance):
                    yield self.at(
                        loaded,
                        ("obligations", index, "tolerance", "limit"),
                        f"a limit of {obligation.tolerance.limit:g} on {obligation.tolerance.metric!r} accepts zeros",
                        subject=f"{contract.id}/{obligation.id}",
                    )


def _accepts_zeros(tolerance: Tolerance) -> bool:
    relative = "relative" in tolerance.metric.lower() and tolerance.unit == "1"
    return relative and tolerance.bound == "at_most" and tolerance.limit >= 1
