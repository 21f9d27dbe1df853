from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class SelfDependency(Rule):
    """A contract depends on itself.

    ## What it does
    Looks for a contract's own id in its `depends_on`.

    ## Why is this bad?
    A claim cannot be its own foundation. Usually the line was copied together with the rest of another contract, and
    the dependency that was meant is missing.

    ## Example
    ```yaml
    id: rope
    depends_on: [rope]
    ```

    ## Use instead
    ```yaml
    id: rope
    depends_on: [q4k-dequant]
    ```

    ## References
    - `pv explain dependency-cycle`
    """

    name = "self-dependency"
    fix = "remove it, or name the contract that was meant"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for index, dependency in enumerate(contract.depends_on):
                if dependency == contract.id:
                    message = f"contract {contract.id!r} depends on itself"
                    yield self.at(loaded, ("depends_on", index), message, subject=contract.id)
