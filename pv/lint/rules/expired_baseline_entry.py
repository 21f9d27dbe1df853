from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity


class ExpiredBaselineEntry(Rule):
    """A baseline entry's last day has passed.

    ## What it does
    Compares `until` of every entry with today's date in UTC. After that day the findings that it covered show again.

    ## Why is this bad?
    A baseline is for the day on which a project starts to use `pv`. What it holds is to be mended, not to be kept.

    ## Example
    ```json
    {"rule": "missing-reference", "subject": "rope", "path": "", "key": "references", "count": 1, "until": "2024-06-30"}
    ```

    ## Use instead
    Mend the finding, then:
    ```console
    $ pv lint --baseline baseline.json --baseline-prune
    ```

    ## References
    - `pv explain unused-baseline-entry`
    """

    name = "expired-baseline-entry"
    severity = Severity.WARNING
    suppressible = False
    fix = "mend it and run 'pv lint' with --baseline-prune, or add it again with --baseline-update"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for entry in context.baseline.entries if context.baseline is not None else ():
            if entry.until < context.today:
                yield Finding(
                    rule=self.name,
                    severity=self.severity,
                    message=f"the baseline's {entry.identity} expired on {entry.until}",
                    location=entry.place,
                    subject=entry.identity.subject or entry.identity.path,
                )
