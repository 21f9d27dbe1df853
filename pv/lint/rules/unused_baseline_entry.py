from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import LateRule
from pv.schema.finding import Finding, Severity


class UnusedBaselineEntry(LateRule):
    """A baseline knows more findings than there are.

    ## What it does
    After all other rules it compares the counts in the baseline file with the findings that they covered. Entries of
    rules that did not run are left alone.

    ## Why is this bad?
    The problem was mended; the entry would hide it if it came back.

    ## Example
    ```json
    {"rule": "missing-reference", "subject": "rope", "path": "", "key": "references", "count": 1, "until": "2027-01-31"}
    ```
    in a baseline, although the contract `rope` has references now.

    ## Use instead
    ```console
    $ pv lint --baseline baseline.json --baseline-prune
    ```

    ## References
    - `pv explain expired-baseline-entry`
    """

    name = "unused-baseline-entry"
    severity = Severity.WARNING
    fix = "run 'pv lint' with --baseline-prune"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for entry, covered in context.leftover.entries:
            yield Finding(
                rule=self.name,
                severity=self.severity,
                message=f"the baseline knows {entry.count} of {entry.identity}, {covered} are there",
                location=entry.place,
                subject=entry.identity.subject or entry.identity.path,
            )
