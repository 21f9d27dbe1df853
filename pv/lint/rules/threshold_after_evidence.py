from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.schema.finding import Finding, Severity


class ThresholdAfterEvidence(Rule):
    """Evidence is not shown to be younger than the thresholds that it meets.

    ## What it does
    For every PASS that counts it looks for a commit that holds the same claim - falsifier, obligations, tolerances,
    equations - and is not younger than the start of the run. Without git, or in a shallow clone, it says once that it
    cannot tell.

    ## Why is this bad?
    A threshold that is chosen after the measurement can always be met.

    ## Example
    ```console
    $ pv discharge rope          # 0.0042 > 0.0010
    $ sed -i 's/limit: 0.0010/limit: 0.0050/' contracts/rope-v1.yaml
    $ pv discharge rope          # PASS, of a limit that no commit holds yet
    ```

    ## Use instead
    ```console
    $ git commit contracts/rope-v1.yaml
    $ pv discharge rope
    ```

    ## References
    - `pv explain missing-version-bump`
    """

    name = "threshold-after-evidence"
    stage = Stage.EVIDENCE
    severity = Severity.WARNING
    fix = "commit the contract, then run 'pv discharge' again"

    def check(self, context: LintContext) -> Iterable[Finding]:
        unregistered = context.unregistered or {}
        for loaded, _, index, falsifier in context.falsifiers():
            reason = unregistered.get(falsifier.id)
            if reason is None:
                continue
            place = ("falsifiers", index, "id")
            if context.history_problem:
                said = self.at(loaded, place, reason, subject=falsifier.id, fix="run 'pv lint' where git history is")
                yield replace(said, severity=Severity.INFO)
                return
            yield self.at(loaded, place, f"evidence of {falsifier.id!r} is {reason}", subject=falsifier.id)
