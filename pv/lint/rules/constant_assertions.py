from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class ConstantAssertions(BindingRule):
    """Every assertion of a bound test compares constants.

    ## What it does
    Reports bound tests whose assertions hold or fail whatever the code under test does.

    ## Why is this bad?
    `assert True` cannot fail. The falsifier is green on every machine, with every model, and with the code deleted.

    ## Example
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm():
        assert 1.0 == 1.0
    ```

    ## Use instead
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm():
        assert norm_error(rope(x, positions, theta=10000.0), x) <= 1e-6
    ```

    ## References
    - `pv explain assertion-free-test`
    """

    name = "constant-assertions"
    fix = "assert something about what the code under test returned"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            if bound.tests[0].constant_assertions_only:
                yield at_test(self, bound, f"test {bound.name!r} only asserts constants, so it cannot fail")
