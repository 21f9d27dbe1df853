from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class UnknownObligation(Rule):
    """A falsifier refutes an obligation that its contract does not have.

    ## What it does
    Looks up every id of `refutes` among the contract's obligations.

    ## Why is this bad?
    The obligation that was meant stays without a falsifier, while the falsifier's passes count for nothing.

    ## Example
    ```yaml
    obligations:
      - {id: keeps-norm, type: conservation, ...}
    falsifiers:
      - {id: FALSIFY-ROPE-001, refutes: [keep-norm], ...}
    ```

    ## Use instead
    ```yaml
    falsifiers:
      - {id: FALSIFY-ROPE-001, refutes: [keeps-norm], ...}
    ```

    ## References
    - `pv explain missing-falsifier`
    """

    name = "unknown-obligation"
    fix = "correct the id, or add the obligation"

    def check(self, context: LintContext) -> Iterable[Finding]:
        hint = Hints()
        for loaded, contract in context.readable:
            known = {obligation.id for obligation in contract.obligations}
            for index, falsifier in enumerate(contract.falsifiers):
                for position, obligation in enumerate(falsifier.refutes):
                    if obligation not in known:
                        yield self.at(
                            loaded,
                            ("falsifiers", index, "refutes", position),
                            f"this contract has no obligation {obligation!r}{hint(obligation, known)}",
                            subject=falsifier.id,
                        )
