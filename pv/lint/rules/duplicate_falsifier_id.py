from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import Loaded
from pv.schema.finding import Finding


class DuplicateFalsifierId(Rule):
    """Two falsifiers have the same id.

    ## What it does
    Compares the ids of all falsifiers of all contracts.

    ## Why is this bad?
    Tests name falsifiers by id alone (`@pytest.mark.falsifies("FALSIFY-ROPE-001")`), and so does evidence. If two
    contracts use one id, a pass recorded for the one would discharge the other.

    ## Example
    ```yaml
    # in two contracts
    falsifiers:
      - id: FALSIFY-001
    ```

    ## Use instead
    ```yaml
    falsifiers:
      - id: FALSIFY-ROPE-001
    ```

    ## References
    - `pv explain foreign-marker`
    """

    name = "duplicate-falsifier-id"
    fix = "give each falsifier an id that no other contract uses"

    def check(self, context: LintContext) -> Iterable[Finding]:
        first: dict[str, tuple[Loaded, int]] = {}
        for loaded, _, index, falsifier in context.falsifiers():
            own = (loaded, index)
            original = first.setdefault(falsifier.id, own)
            if original is not own:
                place = original[0].locations[("falsifiers", original[1], "id")]
                yield self.at(
                    loaded,
                    ("falsifiers", index, "id"),
                    f"falsifier id {falsifier.id!r} is already taken",
                    subject=falsifier.id,
                    related=(("first used here", place),),
                )
