from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.contract import NUMERIC_TYPES
from pv.schema.finding import Finding


class MissingTolerance(Rule):
    """A numeric obligation has no tolerance and is not exact.

    ## What it does
    Expects `tolerance` or `exact: true` on every obligation of type equivalence, bound, linearity, symmetry or
    conservation.

    ## Why is this bad?
    The limit then lives only in the test, where it can be loosened until the test passes without anyone seeing that
    the promise changed.

    ## Example
    ```yaml
    - id: keeps-norm
      type: conservation
      property: the norm of a rotated pair is that of the pair
    ```

    ## Use instead
    ```yaml
    - id: keeps-norm
      type: conservation
      property: the norm of a rotated pair is that of the pair
      tolerance:
        metric: relative_error
        limit: 1.0e-6
        unit: "1"
        reason: two products and a sum in float32 round by at most 3 * 2**-24 each way
    ```

    ## References
    - `pv explain tolerance-and-exact`
    """

    name = "missing-tolerance"
    fix = "add a tolerance with metric, limit, unit and reason, or 'exact: true'"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, obligation in enumerate(contract.obligations):
                if obligation.type in NUMERIC_TYPES and obligation.tolerance is None and not obligation.exact:
                    yield self.at(
                        loaded,
                        ("obligations", index, "type"),
                        f"{obligation.type} obligation {obligation.id!r} has no tolerance and is not exact",
                        subject=f"{contract.id}/{obligation.id}",
                    )
