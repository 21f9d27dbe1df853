from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class UnknownEquation(Rule):
    """An obligation refers to an equation that its contract does not have.

    ## What it does
    Looks up the `equation` of every obligation among the contract's `equations`.

    ## Why is this bad?
    The equation is what the obligation means. Without it the obligation is a sentence, and two readers will test two
    different things.

    ## Example
    ```yaml
    equations:
      rotation: {formula: ..., domain: ..., codomain: ...}
    obligations:
      - {id: keeps-norm, type: conservation, equation: rotatoin, property: ...}
    ```

    ## Use instead
    ```yaml
    obligations:
      - {id: keeps-norm, type: conservation, equation: rotation, property: ...}
    ```

    ## References
    - `pv explain unused-equation`
    """

    name = "unknown-equation"
    fix = "correct the name, or add the equation"

    def check(self, context: LintContext) -> Iterable[Finding]:
        hint = Hints()
        for loaded, contract in context.readable:
            for index, obligation in enumerate(contract.obligations):
                if obligation.equation is not None and obligation.equation not in contract.equations:
                    yield self.at(
                        loaded,
                        ("obligations", index, "equation"),
                        f"this contract has no equation {obligation.equation!r}"
                        + hint(obligation.equation, contract.equations),
                        subject=f"{contract.id}/{obligation.id}",
                    )
