from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.lint.stored import stored_standings
from pv.schema.finding import Finding
from pv.schema.verdict import Standing


class EditedDischarge(Rule):
    """A contract's discharge block says more than the evidence supports.

    ## What it does
    Recomputes the standing of every falsifier and contract from the evidence and compares it with the block in the
    file. It reports a block that claims a better standing, hides a refutation, or has a target that the evidence has
    not.

    ## Why is this bad?
    The block is written by `pv discharge` and is a copy of what the evidence says. A hand that improves it changes what
    readers believe; it never changes a verdict, because `pv` recomputes standings every time.

    ## Example
    ```yaml
    discharge:
      standing: DISCHARGED        # edited; there is no evidence
    ```

    ## Use instead
    ```console
    $ pv discharge rope
    ```

    ## References
    - `pv explain DISCHARGED`
    - `pv explain stale-discharge`
    """

    name = "edited-discharge"
    stage = Stage.EVIDENCE
    suppressible = False
    fix = "run 'pv discharge'; it rewrites the block from evidence"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for item in stored_standings(context):
            if item.is_unsupported:
                yield self.at(
                    item.loaded,
                    (*item.path, "standing"),
                    f"the discharge block says {item.name!r} is {item.stored}, the evidence says {item.supported}",
                    subject=item.subject,
                )
            elif item.extra_targets and item.supported is not Standing.STALE:
                yield self.at(
                    item.loaded,
                    (*item.path, "have"),
                    f"the discharge block says {item.name!r} has {', '.join(item.extra_targets)}, the evidence has not",
                    subject=item.subject,
                )
