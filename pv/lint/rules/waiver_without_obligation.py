from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class WaiverWithoutObligation(Rule):
    """A waiver excuses an obligation that its contract does not have.

    ## What it does
    Looks up the `obligation` of every waiver among the contract's obligations.

    ## Why is this bad?
    The waiver excuses nothing, or it is left over from an obligation that was renamed: then the renamed one stands
    unexcused, and the old text suggests that it is known and handled.

    ## Example
    ```yaml
    obligations:
      - {id: same-argmax, ...}
    waivers:
      - {obligation: argmax-equal, owner: kernels team, reason: ..., expires: 2027-01-31}
    ```

    ## Use instead
    ```yaml
    waivers:
      - {obligation: same-argmax, owner: kernels team, reason: ..., expires: 2027-01-31}
    ```

    ## References
    - `pv explain unknown-obligation`
    """

    name = "waiver-without-obligation"
    fix = "correct the id, or remove the waiver"

    def check(self, context: LintContext) -> Iterable[Finding]:
        hint = Hints()
        for loaded, contract in context.readable:
            known = {obligation.id for obligation in contract.obligations}
            for index, waiver in enumerate(contract.waivers):
                if waiver.obligation not in known:
                    yield self.at(
                        loaded,
                        ("waivers", index, "obligation"),
                        f"this contract has no obligation {waiver.obligation!r}{hint(waiver.obligation, known)}",
                        subject=f"{contract.id}/{waiver.obligation}",
                    )
