from __future__ import annotations

from collections.abc import Iterable, Iterator

from pv.lint.consistency import impossible, impossible_rollup
from pv.lint.context import LintContext
from pv.lint.rule import Rule, Stage
from pv.lint.stored import stored_standings
from pv.load import KeyPath, Loaded
from pv.schema.finding import Finding
from pv.schema.verdict import Standing


class EditedDischarge(Rule):
    """A contract's discharge block says more than the evidence supports.

    ## What it does
    Recomputes the standing of every falsifier and contract from the evidence and compares it with the block in the
    file. It reports a block that claims a better standing, hides a refutation, or has a target that the evidence has
    not; and one that pv cannot have written at any time, because the evidence that it names says something else, is of
    another falsifier or is not there.

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
        said: set[KeyPath] = set()
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
                said.add(item.path)
                yield self.at(item.loaded, (*item.path, key), message, subject=item.subject)
        for loaded, path, name, message in _impossible(context):
            if path not in said:
                said.add(path)
                message = f"pv never wrote this discharge block: {name!r} {message}"
                yield self.at(loaded, (*path, "standing"), message, subject=name)


def _impossible(context: LintContext) -> Iterator[tuple[Loaded, KeyPath, str, str]]:
    if context.records is None:
        return
    for loaded, contract in context.readable:
        block = contract.discharge
        if block is None or contract.id not in (context.discharges or {}):
            continue
        current = {item.id for item in contract.falsifiers}
        for name, entry in block.falsifiers.items():
            if name in current:
                for message in impossible(contract.id, name, entry, context.records):
                    yield loaded, ("discharge", "falsifiers", name), name, message
        if message := impossible_rollup(contract, block):
            yield loaded, ("discharge",), contract.id, message
