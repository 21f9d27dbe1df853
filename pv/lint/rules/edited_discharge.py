from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.lint.stored import stored_standings, unsupported
from pv.load import KeyPath
from pv.schema.finding import Finding
from pv.schema.verdict import Standing


class EditedDischarge(Rule):
    """A contract's discharge block says more than the evidence supports.

    ## What it does
    Recomputes the standing of every falsifier and contract from the evidence and compares it with the block in the
    file. It reports a block that claims a better standing, hides a refutation, or knows a falsifier or a target that
    the evidence does not.

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
    fix = "run 'pv discharge'; it rewrites the block from evidence"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for item in stored_standings(context):
            if item.supported is None:
                message = f"the discharge block knows {item.name!r}, which this contract does not have"
                yield self.at(item.loaded, item.path, message, subject=item.subject, on_key=True)
            elif unsupported(item.stored, item.supported):
                yield self.at(
                    item.loaded,
                    _standing(item.path),
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


def _standing(path: KeyPath) -> KeyPath:
    return (*path, "standing")
