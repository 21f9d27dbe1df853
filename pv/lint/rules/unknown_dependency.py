from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class UnknownDependency(Rule):
    """A contract depends on a contract that does not exist.

    ## What it does
    Looks up every id of `depends_on` in the catalog. An id that, going by file names, belongs to a contract that could
    not be read is not reported: that file has its own finding.

    ## Why is this bad?
    A dependency says that a claim only means something if another claim holds. If the other claim does not exist,
    nobody checks it, and nobody notices.

    ## Example
    ```yaml
    id: gqa-attention
    depends_on: [roep]
    ```

    ## Use instead
    ```yaml
    id: gqa-attention
    depends_on: [rope]
    ```

    ## References
    - `pv explain dependency-cycle`
    """

    name = "unknown-dependency"
    fix = "correct the id, or write the contract that it names"

    def check(self, context: LintContext) -> Iterable[Finding]:
        known = context.contract_ids | context.unreadable_ids
        hint = Hints()
        for loaded, contract in context.readable:
            for index, dependency in enumerate(contract.depends_on):
                if dependency in known:
                    continue
                yield self.at(
                    loaded,
                    ("depends_on", index),
                    f"no contract has the id {dependency!r}{hint(dependency, context.contract_ids)}",
                    subject=contract.id,
                )
