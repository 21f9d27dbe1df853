from __future__ import annotations

import re
from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity

_ERROR = re.compile(r"error|gap|difference|distance|deviation|divergence|rmse|loss", re.IGNORECASE)
_SCORE = re.compile(r"cosine|similarity|accuracy|correlation", re.IGNORECASE)


class InvertedTolerance(Rule):
    """A tolerance bounds its metric from the wrong side.

    ## What it does
    Reports scores (cosine, similarity, accuracy, correlation) with `bound: at_most`, which is the default, and errors
    (error, gap, difference, distance, deviation, divergence, rmse, loss) with `bound: at_least`.

    ## Why is this bad?
    The check passes for the worst values and fails for the best: a cosine of 0.2 is at most 0.999.

    ## Example
    ```yaml
    tolerance: {metric: cosine, limit: 0.999, unit: "1", reason: ...}
    ```

    ## Use instead
    ```yaml
    tolerance: {metric: cosine, limit: 0.999, bound: at_least, unit: "1", reason: ...}
    ```

    ## References
    - `pv explain toothless-tolerance`
    """

    name = "inverted-tolerance"
    severity = Severity.WARNING

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, obligation in enumerate(contract.obligations):
                if obligation.tolerance is None:
                    continue
                right = _right_bound(obligation.tolerance.metric)
                if right is not None and right != obligation.tolerance.bound:
                    metric, bound = obligation.tolerance.metric, obligation.tolerance.bound
                    kind = "an error" if right == "at_most" else "a score"
                    yield self.at(
                        loaded,
                        ("obligations", index, "tolerance", "metric"),
                        f"{metric!r} is {kind} by its name, but the limit is {bound}",
                        subject=f"{contract.id}/{obligation.id}",
                        fix=f"write 'bound: {right}', or name the metric after what grows",
                    )


def _right_bound(metric: str) -> str | None:
    # Errors first: a cosine distance is an error.
    if _ERROR.search(metric):
        return "at_most"
    return "at_least" if _SCORE.search(metric) else None
