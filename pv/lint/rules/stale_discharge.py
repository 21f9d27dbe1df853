from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.lint.stored import stored_standings
from pv.schema.finding import Finding, Severity


class StaleDischarge(Rule):
    """A contract's discharge block is older than the evidence or the code.

    ## What it does
    Recomputes the standing of every falsifier and contract from the evidence and today's files. It reports a block that
    differs without claiming too much: something it rests on has changed, a falsifier has another name, or new evidence
    says more than the block.

    ## Why is this bad?
    Readers of the file see yesterday's answer.

    ## Example
    ```yaml
    discharge:
      standing: DISCHARGED        # true until the kernel was edited
    ```

    ## Use instead
    ```console
    $ pv discharge rope
    ```

    ## References
    - `pv explain STALE`
    - `pv explain edited-discharge`
    """

    name = "stale-discharge"
    stage = Stage.EVIDENCE
    severity = Severity.WARNING
    fix = "run 'pv discharge'; it rewrites the block from evidence"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for item in stored_standings(context):
            if item.supported is None:
                message = f"the discharge block has {item.name!r}, which is no falsifier of this contract"
                yield self.at(item.loaded, item.path, message, subject=item.subject, on_key=True)
            elif item.stored is not item.supported and not item.is_unsupported:
                yield self.at(
                    item.loaded,
                    (*item.path, "standing"),
                    f"the discharge block says {item.name!r} is {item.stored}, today it is {item.supported}",
                    subject=item.subject,
                )
