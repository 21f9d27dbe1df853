from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class XfailTest(BindingRule):
    """A bound test is expected to fail.

    ## What it does
    Reports bound tests, or parameter sets of them, with `@pytest.mark.xfail`.

    ## Why is this bad?
    An expected failure counts as success for pytest. A known defect belongs into the contract, where it stays visible
    as FALSIFIED with somebody who answers for it, and not into a mark that turns it green.

    ## Example
    ```python
    @pytest.mark.xfail(reason="argmax differs on sm_90")
    @pytest.mark.falsifies("FALSIFY-CPU-CUDA-001")
    def test_same_argmax(): ...
    ```

    ## Use instead
    ```yaml
    waivers:
      - {obligation: same-argmax, owner: kernels team, reason: argmax differs on sm_90, expires: 2027-01-31}
    ```

    ## References
    - `pv explain FALSIFIED`
    - `pv explain WAIVED`
    """

    name = "xfail-test"
    fix = "remove the mark; let the test fail and add a waiver to the contract"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            expected = sum(test.xfail for test in bound.tests)
            if expected:
                some = f" in {expected} of {len(bound.tests)} parameter sets" if len(bound.tests) > 1 else ""
                yield at_test(self, bound, f"test {bound.name!r} is expected to fail{some}")
