from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.schema.finding import Finding, Severity


class UncheckedDischarge(Rule):
    """Discharge blocks could not be compared with the evidence.

    ## What it does
    Says once why the standings of contracts with a discharge block could not be recomputed, such as a model file that
    is not on this machine.

    ## Why is this bad?
    The blocks may be true, edited or stale; this run does not know. Unknown is not no, and never yes.

    ## Example
    ```toml
    [tool.pv]
    model = "models/too-large-for-ci.gguf"
    ```

    ## Use instead
    Run `pv lint` where the model is, or ignore this rule in the step that cannot have it:
    ```console
    $ pv lint --ignore unchecked-discharge
    ```

    ## References
    - `pv explain edited-discharge`
    - `pv explain STALE`
    """

    name = "unchecked-discharge"
    stage = Stage.EVIDENCE
    severity = Severity.WARNING
    fix = "run 'pv lint' where everything that the evidence rests on is at hand"

    def check(self, context: LintContext) -> Iterable[Finding]:
        stored = [(loaded, contract) for loaded, contract in context.readable if contract.discharge is not None]
        if context.evidence_problem and stored:
            loaded, contract = stored[0]
            count = "1 contract was" if len(stored) == 1 else f"{len(stored)} contracts were"
            yield self.at(
                loaded,
                ("discharge",),
                f"the discharge block of {count} not compared with the evidence: {context.evidence_problem}",
                subject=contract.id,
                on_key=True,
            )
