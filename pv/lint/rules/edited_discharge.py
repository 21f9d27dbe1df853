from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.lint.stored import stored_standings
from pv.schema.finding import Finding
from pv.schema.store import BlockOrigin
from pv.schema.verdict import Standing

_MESSAGES = {
    BlockOrigin.UNKNOWN: "pv never wrote this discharge block: no line of a ledger has its content",
    BlockOrigin.UNRECORDED: (
        "no line of a ledger says that pv wrote this discharge block; it was typed, or written by a pv that kept no "
        "such lines"
    ),
}


class EditedDischarge(Rule):
    """A discharge block is not what pv wrote, or says more than the evidence supports.

    ## What it does
    Compares the block in the file with the ledger, which has a line with the digest of every block that `pv discharge`
    wrote for the contract: a block without such a line was typed or changed by hand, whether it claims more, less or
    only something else. Layout, comments and the order of entries mean nothing.
    It also recomputes every standing from the evidence, and reports a block that claims a better one, hides a
    refutation, or has a target that the evidence has not.

    ## Why is this bad?
    The block is written by `pv discharge` and is a copy of what the evidence says. A hand that edits it changes what
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
        said: set[str] = set()
        for item in stored_standings(context):
            message = ""
            key = "standing"
            if item.is_unsupported:
                message = f"the discharge block says {item.name!r} is {item.stored}, the evidence says {item.supported}"
            elif item.extra_targets and item.supported is not Standing.STALE:
                message = (
                    f"the discharge block says {item.name!r} has {', '.join(item.extra_targets)}, the evidence has not"
                )
                key = "have"
            if message:
                said.add(item.loaded.path)
                yield self.at(item.loaded, (*item.path, key), message, subject=item.name)
        for loaded, contract in context.readable:
            message = _MESSAGES.get(context.blocks.get(contract.id, BlockOrigin.LAST), "")
            if message and loaded.path not in said:
                fix = f"run 'pv discharge {contract.id}'; it rewrites the block from evidence"
                yield self.at(loaded, ("discharge",), message, subject=contract.id, fix=fix, on_key=True)
