from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.schema.finding import Finding
from pv.schema.limits import difference, shown


class DifferentLimit(Rule):
    """A falsifier measures against another limit than its contract states.

    ## What it does
    Looks at the evidence that counts today. For each tolerance of an obligation that a falsifier refutes, the value
    that the test recorded under the tolerance's metric must have the same limit, unit and direction; where no value
    has that name, some recorded value must have the same limit and direction.

    ## Why is this bad?
    Readers believe the limit in the contract. What decides is the limit in the test: a looser one there makes the claim
    untrue, a tighter one makes it say less than is known. Such evidence makes nothing DISCHARGED.

    ## Example
    ```yaml
    tolerance: {metric: max_abs_error, limit: 1.0e-6, unit: "1", reason: 4 rounding steps of float32}
    ```
    ```python
    pv.record("max_abs_error", worst, limit=1e-3)
    ```

    ## Use instead
    ```python
    pv.record("max_abs_error", worst, limit=1e-6)
    ```

    ## References
    - `pv explain toothless-tolerance`
    """

    name = "different-limit"
    stage = Stage.EVIDENCE
    fix = "state the same limit in the contract and in pv.record(..., limit=), then run 'pv discharge'"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract, _, falsifier in context.falsifiers():
            for target, values in context.measured.get(falsifier.id, {}).items():
                for index, obligation in enumerate(contract.obligations):
                    if obligation.tolerance is None or obligation.id not in falsifier.refutes:
                        continue
                    if problem := difference(obligation.tolerance, values):
                        yield self.at(
                            loaded,
                            ("obligations", index, "tolerance", "limit"),
                            f"{falsifier.id} on {target} {problem}, the tolerance of {obligation.id!r} is "
                            f"{shown(obligation.tolerance.bound, obligation.tolerance.limit)}",
                            subject=falsifier.id,
                        )
