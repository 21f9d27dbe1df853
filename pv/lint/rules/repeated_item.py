from __future__ import annotations

from collections.abc import Iterable, Sequence

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import KeyPath, Loaded
from pv.schema.finding import Finding, Severity


class RepeatedItem(Rule):
    """A list names the same thing twice.

    ## What it does
    Looks at `references`, `depends_on`, `refutes`, `targets` and `subjects`.

    ## Why is this bad?
    One of the two was probably meant to be something else: the second target, the other obligation.

    ## Example
    ```yaml
    targets: [cpu, cpu]
    ```

    ## Use instead
    ```yaml
    targets: [cpu, cuda]
    ```

    ## References
    - `pv explain duplicate-challenge`
    """

    name = "repeated-item"
    severity = Severity.WARNING
    fix = "remove it, or write what was meant"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            yield from self._repeats(loaded, ("references",), contract.references, contract.id)
            yield from self._repeats(loaded, ("depends_on",), contract.depends_on, contract.id)
            for index, falsifier in enumerate(contract.falsifiers):
                for key in ("refutes", "targets", "subjects"):
                    items = getattr(falsifier, key)
                    yield from self._repeats(loaded, ("falsifiers", index, key), items, falsifier.id)

    def _repeats(self, loaded: Loaded, path: KeyPath, items: Sequence[str], subject: str) -> Iterable[Finding]:
        seen: set[str] = set()
        for position, item in enumerate(items):
            if item in seen:
                yield self.at(loaded, (*path, position), f"{item!r} is already in this list", subject=subject)
            seen.add(item)
