from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class MissingFalsifier(Rule):
    """An obligation has neither a falsifier nor a waiver.

    ## What it does
    Collects what the falsifiers of a contract refute and what its waivers excuse, and reports every other obligation.

    ## Why is this bad?
    Nothing could ever turn this obligation red. A promise that no test can break is decoration, and a contract full of
    them looks as good as one that was checked.

    ## Example
    ```yaml
    obligations:
      - {id: keeps-norm, type: conservation, ...}
    falsifiers: []
    ```

    ## Use instead
    ```yaml
    obligations:
      - {id: keeps-norm, type: conservation, ...}
    falsifiers:
      - id: FALSIFY-ROPE-001
        refutes: [keeps-norm]
        ...
    ```
    or, while a known gap is open, with somebody who answers for it:
    ```yaml
    waivers:
      - {obligation: keeps-norm, owner: kernels team, reason: needs a device with ..., expires: 2027-01-31}
    ```

    ## References
    - `pv explain expired-waiver`
    """

    name = "missing-falsifier"
    fix = "add a falsifier that refutes it, or a waiver with owner, reason and expiry"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            answered = {name for falsifier in contract.falsifiers for name in falsifier.refutes}
            answered |= {waiver.obligation for waiver in contract.waivers}
            for index, obligation in enumerate(contract.obligations):
                if obligation.id not in answered:
                    yield self.at(
                        loaded,
                        ("obligations", index, "id"),
                        f"no falsifier refutes obligation {obligation.id!r}, and no waiver names it",
                        subject=f"{contract.id}/{obligation.id}",
                    )
