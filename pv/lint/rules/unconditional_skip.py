from __future__ import annotations

from collections.abc import Iterable

from pv.lint.bound import at_test, bound_functions
from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class UnconditionalSkip(BindingRule):
    """A bound test is skipped on every machine.

    ## What it does
    Reports bound tests, or parameter sets of them, with `@pytest.mark.skip` or a `skipif` whose condition is always
    true.

    ## Why is this bad?
    pytest ends with exit code 0 when every test was skipped. The falsifier looks bound, never runs, and stays OPEN.

    ## Example
    ```python
    @pytest.mark.skip(reason="slow")
    @pytest.mark.falsifies("FALSIFY-ROPE-001")
    def test_keeps_norm(): ...
    ```

    ## Use instead
    Name the target that the test needs in the contract, and let the run decide.
    ```yaml
    targets: [cuda]
    ```

    ## References
    - `pv explain SKIPPED`
    - https://docs.pytest.org/en/stable/how-to/skipping.html
    """

    name = "unconditional-skip"
    fix = "remove the skip; name the target that the test needs in the contract"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for bound in bound_functions(context):
            skipped = [test for test in bound.tests if test.unconditional_skip is not None]
            if skipped:
                some = f" in {len(skipped)} of {len(bound.tests)} parameter sets" if len(bound.tests) > 1 else ""
                reason = f": {skipped[0].unconditional_skip}" if skipped[0].unconditional_skip else ""
                yield at_test(self, bound, f"test {bound.name!r} is always skipped{some}{reason}")
