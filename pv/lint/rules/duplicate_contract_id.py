from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import Loaded
from pv.schema.finding import Finding


class DuplicateContractId(Rule):
    """Two contract files have the same id.

    ## What it does
    Compares the `id` of every contract with those of all others in the catalog.

    ## Why is this bad?
    Evidence, gates and `depends_on` name contracts by id. With two contracts of one id, a verdict about one of them
    can be read as a verdict about the other, and which one wins would depend on the order of files in a folder.

    ## Example
    ```yaml
    # contracts/rope-v1.yaml and contracts/old/rope-v1.yaml
    id: rope
    ```

    ## Use instead
    ```yaml
    # contracts/old/rope-v1.yaml
    id: rope-interleaved
    ```

    ## References
    - `pv explain file-name-mismatch`
    """

    name = "duplicate-contract-id"
    fix = "give one of them another id, or delete the copy"

    def check(self, context: LintContext) -> Iterable[Finding]:
        first: dict[str, Loaded] = {}
        for loaded, contract in context.readable:
            original = first.setdefault(contract.id, loaded)
            if original is not loaded:
                yield self.at(
                    loaded,
                    ("id",),
                    f"contract id {contract.id!r} is already taken",
                    subject=contract.id,
                    related=(("first used here", original.locations[("id",)]),),
                )
