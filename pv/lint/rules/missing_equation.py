from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.contract import Kind
from pv.schema.finding import Finding, Severity

_MATHEMATICAL = frozenset({Kind.KERNEL, Kind.PARITY})


class MissingEquation(Rule):
    """A contract about arithmetic has no equation.

    ## What it does
    Expects at least one equation in contracts of kind kernel and parity.

    ## Why is this bad?
    A kernel without its formula can only be compared with what it does today, and a parity claim without one leaves
    open what is compared: which positions, which inputs, which of the two sides is right.

    ## Example
    ```yaml
    kind: kernel
    title: Rotary position embedding
    obligations: [...]
    ```

    ## Use instead
    ```yaml
    kind: kernel
    title: Rotary position embedding
    equations:
      rotation:
        formula: y = x * cos(p * w) + rotate_half(x) * sin(p * w), w = theta**(-2i/Dh)
        domain: x in R^(T, H, Dh), Dh even
        codomain: R^(T, H, Dh)
    obligations: [...]
    ```

    ## References
    - `pv explain unused-equation`
    """

    name = "missing-equation"
    severity = Severity.WARNING
    fix = "write the formula down, with domain and codomain, or choose the kind that fits"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            if contract.kind in _MATHEMATICAL and not contract.equations:
                yield self.at(
                    loaded, ("kind",), f"contract of kind {contract.kind} has no equation", subject=contract.id
                )
