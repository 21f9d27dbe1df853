from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity


class UnusedEquation(Rule):
    """No obligation refers to an equation.

    ## What it does
    Looks for equations that no obligation of the contract names in its `equation`.

    ## Why is this bad?
    The mathematics is written down, but nothing says that the code has to follow it, so nothing checks it.

    ## Example
    ```yaml
    equations:
      rotation: {formula: ..., domain: ..., codomain: ...}
    obligations:
      - {id: keeps-norm, type: conservation, property: ...}
    ```

    ## Use instead
    ```yaml
    obligations:
      - {id: keeps-norm, type: conservation, equation: rotation, property: ...}
    ```

    ## References
    - `pv explain unknown-equation`
    """

    name = "unused-equation"
    severity = Severity.WARNING
    fix = "name it in the obligation that rests on it, or remove it"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            used = {obligation.equation for obligation in contract.obligations}
            for name in contract.equations:
                if name not in used:
                    yield self.at(
                        loaded,
                        ("equations", name),
                        f"no obligation refers to equation {name!r}",
                        subject=f"{contract.id}/{name}",
                        on_key=True,
                    )
