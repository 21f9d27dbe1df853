from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity
from pv.schema.waiver import MAX_WAIVER_DAYS as MAX_DAYS


class PerpetualWaiver(Rule):
    """A waiver lasts longer than a year.

    ## What it does
    Compares `expires` with today's date in UTC and reports more than 366 days.

    ## Why is this bad?
    A date that nobody expects to reach is no date. The waiver would outlive the release, the hardware and perhaps the
    owner whom it names. Neither a standing nor a gate counts it.

    ## Example
    ```yaml
    - {obligation: same-argmax, owner: kernels team, reason: argmax differs on sm_90, expires: 2099-12-31}
    ```

    ## Use instead
    A date by which somebody looks again, at most a year away.
    ```yaml
    - {obligation: same-argmax, owner: kernels team, reason: argmax differs on sm_90, expires: 2027-01-31}
    ```

    ## References
    - `pv explain expired-waiver`
    """

    name = "perpetual-waiver"
    severity = Severity.WARNING
    fix = "choose a day within a year; the waiver can be renewed"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, waiver in enumerate(contract.waivers):
                days = (waiver.expires - context.today).days
                if days > MAX_DAYS:
                    yield self.at(
                        loaded,
                        ("waivers", index, "expires"),
                        f"waiver of {waiver.obligation!r} lasts {days} more days, at most {MAX_DAYS} are expected",
                        subject=f"{contract.id}/{waiver.obligation}",
                    )
        for parsed in context.questions.waivers:
            if parsed.model is not None and (days := (parsed.model.expires - context.today).days) > MAX_DAYS:
                message = f"waiver {parsed.model.id!r} lasts {days} more days, at most {MAX_DAYS} are expected"
                yield self.at(parsed, ("expires",), message, subject=parsed.model.id)
