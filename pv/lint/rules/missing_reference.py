from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.contract import Kind
from pv.schema.finding import Finding, Severity


class MissingReference(Rule):
    """A contract about a file format names no specification.

    ## What it does
    Expects `references`, or an equation with a `source`, in contracts of kind format.

    ## Why is this bad?
    A format is defined elsewhere. Without the place, nobody can tell a wrong reader from a wrong contract.

    ## Example
    ```yaml
    kind: format
    title: GGUF files are read without trusting them
    ```

    ## Use instead
    ```yaml
    kind: format
    title: GGUF files are read without trusting them
    references:
      - https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    ```

    ## References
    - `pv explain missing-equation`
    """

    name = "missing-reference"
    severity = Severity.WARNING
    fix = "add the specification under 'references'"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            sourced = contract.references or any(item.source for item in contract.equations.values())
            if contract.kind is Kind.FORMAT and not sourced:
                yield self.at(loaded, ("kind",), "contract of kind format names no specification", subject=contract.id)
