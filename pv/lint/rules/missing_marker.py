from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class MissingMarker(BindingRule):
    """A bound test does not say which falsifier it is.

    ## What it does
    Expects `@pytest.mark.falsifies(...)` on every test that a falsifier names.

    ## Why is this bad?
    Whoever edits the test does not see that a promise rests on it, and weakens it in good faith. The binding must be
    visible from both sides.

    ## Example
    ```python
    def test_keeps_norm(): ...
    ```

    ## Use instead
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm(): ...
    ```

    ## References
    - `pv explain foreign-marker`
    """

    name = "missing-marker"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            if any(not test.falsifies for test in bound.tests):
                yield at_test(
                    self,
                    bound,
                    f"test {bound.name!r} does not name falsifier {bound.falsifier.id!r}",
                    fix=f'add @pytest.mark.falsifies("{bound.falsifier.id}")',
                )
