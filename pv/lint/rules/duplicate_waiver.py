from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class DuplicateWaiver(Rule):
    """Two waivers excuse the same obligation.

    ## What it does
    Compares the `obligation` of the waivers within each contract.

    ## Why is this bad?
    Owner, reason and last day of a waiver must be one answer. With two, the later date quietly extends the earlier
    one, and two people each think that the other is responsible.

    ## Example
    ```yaml
    waivers:
      - {obligation: same-argmax, owner: kernels team, reason: ..., expires: 2026-12-31}
      - {obligation: same-argmax, owner: release team, reason: ..., expires: 2027-06-30}
    ```

    ## Use instead
    ```yaml
    waivers:
      - {obligation: same-argmax, owner: kernels team, reason: ..., expires: 2026-12-31}
    ```

    ## References
    - `pv explain expired-waiver`
    """

    name = "duplicate-waiver"
    fix = "keep one waiver per obligation"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            first: dict[str, int] = {}
            for index, waiver in enumerate(contract.waivers):
                original = first.setdefault(waiver.obligation, index)
                if original != index:
                    yield self.at(
                        loaded,
                        ("waivers", index, "obligation"),
                        f"obligation {waiver.obligation!r} is already waived",
                        subject=f"{contract.id}/{waiver.obligation}",
                        related=(("first waived here", loaded.locations[("waivers", original, "obligation")]),),
                    )
