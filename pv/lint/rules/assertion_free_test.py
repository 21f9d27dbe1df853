from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class AssertionFreeTest(BindingRule):
    """A bound test checks nothing.

    ## What it does
    Counts assertions, `pytest.raises`, `pytest.fail` and comparisons by the `pv` fixture that the test function can
    reach by name, and reports bound tests with none.

    ## Why is this bad?
    The test passes as long as the code does not raise. A kernel that returns zeros passes it.

    ## Example
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm():
        rope(x, positions, theta=10000.0)
    ```

    ## Use instead
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm():
        rotated = rope(x, positions, theta=10000.0)
        np.testing.assert_allclose(np.linalg.norm(rotated), np.linalg.norm(x), rtol=1e-6)
    ```

    ## References
    - `pv explain missing-challenge`
    """

    name = "assertion-free-test"
    fix = "assert what the falsifier predicts"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            if bound.tests[0].checks == 0:
                yield at_test(self, bound, f"test {bound.name!r} has no assertion")
