from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class SelfReferentialTest(BindingRule):
    """A bound test only reads a contract.

    ## What it does
    Reports bound tests that look at nothing but a contract file: that it exists, has a version, says DISCHARGED.

    ## Why is this bad?
    The contract is then its own evidence. Such a test locks what was claimed, not what is true, and fails when
    somebody honestly takes a claim back.

    ## Example
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_rope():
        assert "standing: DISCHARGED" in Path("contracts/rope-v1.yaml").read_text()
    ```

    ## Use instead
    ```python
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_rope():
        assert norm_error(rope(x, positions, theta=10000.0), x) <= 1e-6
    ```

    ## References
    - `pv explain assertion-free-test`
    """

    name = "self-referential-test"
    fix = "run the code that the contract is about"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            if bound.tests[0].reads_own_contract:
                yield at_test(self, bound, f"test {bound.name!r} looks at nothing but a contract")
