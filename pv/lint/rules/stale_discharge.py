from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.lint.stored import stored_standings
from pv.schema.finding import Finding, Severity
from pv.schema.store import BlockOrigin


class StaleDischarge(Rule):
    """A contract's discharge block is older than the evidence or the code.

    ## What it does
    Recomputes the standing of every falsifier and contract from the evidence and today's files. It reports a block that
    differs without claiming too much: something it rests on has changed, a falsifier has another name, or new evidence
    says more than the block. By the ledger it also reports a block that pv wrote, and has replaced since. A block that
    pv never wrote is left to `edited-discharge`.

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
        said: set[str] = set()
        for item in stored_standings(context):
            if context.blocks.get(item.contract) in (BlockOrigin.UNKNOWN, BlockOrigin.UNRECORDED):
                continue
            message, path, on_key = "", (*item.path, "standing"), False
            if item.supported is None:
                message = f"the discharge block has {item.name!r}, which is no falsifier of this contract"
                path, on_key = item.path, True
            elif item.stored is not item.supported and not item.is_unsupported:
                message = f"the discharge block says {item.name!r} is {item.stored}, today it is {item.supported}"
            if message or item.is_unsupported:
                said.add(item.contract)
            if message:
                yield self.at(item.loaded, path, message, subject=item.name, on_key=on_key)
        for loaded, contract in context.readable:
            if context.blocks.get(contract.id) is BlockOrigin.EARLIER and contract.id not in said:
                message = "pv wrote this discharge block, and another one later"
                yield self.at(loaded, ("discharge",), message, subject=contract.id, on_key=True)
