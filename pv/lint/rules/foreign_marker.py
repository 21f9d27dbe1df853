from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import BoundFunction, at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class ForeignMarker(BindingRule):
    """A bound test names other falsifiers, but not the one that names it.

    ## What it does
    Compares the ids of `@pytest.mark.falsifies(...)` with the falsifier that binds the test.

    ## Why is this bad?
    Contract and test disagree about what the test is for. Most likely the contract's node id was copied from another
    falsifier, and this one has no test of its own.

    ## Example
    ```python
    # the contract says: FALSIFY-ROPE-002 is test_keeps_norm
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm(): ...
    ```

    ## Use instead
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001", "FALSIFY-ROPE-002")
    def test_keeps_norm(): ...
    ```

    ## References
    - `pv explain missing-marker`
    """

    name = "foreign-marker"
    fix = "correct the node id in the contract, or add the id to the marker"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            named = next((test.falsifies for test in bound.tests if _names_another(test.falsifies, bound)), None)
            if named is not None:
                others = ", ".join(named)
                message = f"test {bound.name!r} is bound to falsifier {bound.falsifier.id!r} but names {others}"
                yield at_test(self, bound, message)


def _names_another(named: tuple[str, ...], bound: BoundFunction) -> bool:
    return bool(named) and bound.falsifier.id not in named
