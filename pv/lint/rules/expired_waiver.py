from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class ExpiredWaiver(Rule):
    """A waiver's last day has passed.

    ## What it does
    Compares `expires` with today's date in UTC. The waiver counts on its last day.

    ## Why is this bad?
    Somebody promised to deal with a known defect by this day. An expired waiver excuses nothing, and silence would
    turn a postponed problem into a permanent one.

    ## Example
    ```yaml
    - {obligation: same-argmax, owner: kernels team, reason: argmax differs on sm_90, expires: 2024-06-30}
    ```

    ## Use instead
    ```yaml
    - {obligation: same-argmax, owner: kernels team, reason: "argmax differs on sm_90, still open", expires: 2027-01-31}
    ```

    ## References
    - `pv explain WAIVED`
    - `pv explain perpetual-waiver`
    """

    name = "expired-waiver"
    fix = "close the defect and remove the waiver, or renew it with a reason"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, waiver in enumerate(contract.waivers):
                if waiver.expires < context.today:
                    yield self.at(
                        loaded,
                        ("waivers", index, "expires"),
                        f"waiver of {waiver.obligation!r} by {waiver.owner} expired on {waiver.expires}",
                        subject=f"{contract.id}/{waiver.obligation}",
                    )
        for parsed in context.questions.waivers:
            gate_waiver = parsed.model
            if gate_waiver is not None and gate_waiver.expires < context.today:
                message = f"waiver {gate_waiver.id!r} by {gate_waiver.owner} expired on {gate_waiver.expires}"
                yield self.at(parsed, ("expires",), message, subject=gate_waiver.id)
