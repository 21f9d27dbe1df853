from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding


class ParameterBoundPartially(BindingRule):
    """Falsifiers name some parameter sets of a test, and no falsifier names the others.

    ## What it does
    Looks at falsifiers whose node id ends in `[...]` and reports parameter sets of the same function that no falsifier
    of any contract names.

    ## Why is this bad?
    The parameter sets that are left out may fail and no contract changes. Often they are the ones that were added
    later, because something had broken there.

    ## Example
    ```yaml
    test: falsifiers/test_rope.py::test_keeps_norm[8]      # the test runs for 8, 64 and 128 as well
    ```

    ## Use instead
    ```yaml
    test: falsifiers/test_rope.py::test_keeps_norm         # every parameter set
    ```

    ## References
    - https://docs.pytest.org/en/stable/how-to/parametrize.html
    """

    name = "parameter-bound-partially"
    fix = "name the function without brackets, or bind the other parameter sets too"

    def check(self, context: LintContext) -> Iterable[Finding]:
        reported: set[str] = set()
        for loaded, _, index, falsifier in context.falsifiers():
            base, bracket, _ = falsifier.test.partition("[")
            if not bracket or falsifier.test not in context.tests or base in reported:
                continue
            reported.add(base)
            siblings = context.tests[base]
            left_out = [test.nodeid[len(base) :] for test in siblings if test.nodeid not in context.bindings]
            if left_out:
                shown = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
                yield self.at(
                    loaded,
                    ("falsifiers", index, "test"),
                    f"{len(left_out)} of {len(siblings)} parameter sets of {base} are bound to nothing: {shown}",
                    subject=falsifier.id,
                )
