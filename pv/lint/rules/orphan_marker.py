from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding
from pv.schema.location import Location


class OrphanMarker(BindingRule):
    """A test claims to refute a falsifier that no contract has.

    ## What it does
    Looks up the ids of every `@pytest.mark.falsifies(...)` among all falsifiers of all contracts. While a contract
    cannot be parsed its falsifiers are not known, and the rule says nothing.

    ## Why is this bad?
    The author believes that a promise rests on this test. Whatever it shows, no contract will hear of it.

    ## Example
    ```python
    @pytest.mark.falsifies("FALSIFY-ROEP-001")
    def test_keeps_norm(): ...
    ```

    ## Use instead
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm(): ...
    ```

    ## References
    - `pv explain missing-marker`
    """

    name = "orphan-marker"
    fix = "correct the id, or add the falsifier to a contract"

    def check(self, context: LintContext) -> Iterable[Finding]:
        assert context.collection is not None
        if not context.knows_all_falsifiers:
            return
        hint = Hints()
        seen: set[tuple[str, str]] = set()
        for test in context.collection.tests:
            for falsifier in test.falsifies:
                if falsifier in context.falsifier_ids or (test.base, falsifier) in seen:
                    continue
                seen.add((test.base, falsifier))
                yield Finding(
                    rule=self.name,
                    severity=self.severity,
                    message=f"no contract has a falsifier {falsifier!r}{hint(falsifier, context.falsifier_ids)}",
                    location=Location(test.path, test.line, 1, test.line, 1),
                    subject=falsifier,
                )
