from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class DuplicateObligationId(Rule):
    """Two obligations of one contract have the same id.

    ## What it does
    Compares the ids of the obligations within each contract.

    ## Why is this bad?
    A falsifier says by id what it refutes. If two obligations share an id, one falsifier seems to cover both, although
    its test was written for one of them.

    ## Example
    ```yaml
    obligations:
      - {id: same-logits, type: determinism, property: the same prompt gives the same logits}
      - {id: same-logits, type: roundtrip, property: saving and loading keeps the logits}
    ```

    ## Use instead
    ```yaml
    obligations:
      - {id: same-logits, type: determinism, property: the same prompt gives the same logits}
      - {id: same-logits-after-loading, type: roundtrip, property: saving and loading keeps the logits}
    ```

    ## References
    - `pv explain duplicate-falsifier-id`
    """

    name = "duplicate-obligation-id"
    fix = "give each obligation its own id"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            first: dict[str, int] = {}
            for index, obligation in enumerate(contract.obligations):
                original = first.setdefault(obligation.id, index)
                if original != index:
                    yield self.at(
                        loaded,
                        ("obligations", index, "id"),
                        f"obligation id {obligation.id!r} is already taken in this contract",
                        subject=f"{contract.id}/{obligation.id}",
                        related=(("first used here", loaded.locations[("obligations", original, "id")]),),
                    )
