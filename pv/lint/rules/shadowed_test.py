from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.nodeid import file_of
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding
from pv.schema.location import Location


class ShadowedTest(BindingRule):
    """A later function of the same name hides a test.

    ## What it does
    Reports test functions that are defined again further down in the same file or class.

    ## Why is this bad?
    Python keeps the last definition, pytest collects only that one, and the other never runs: without a message, with
    exit code 0. A contract that names the test means one of the two, and only one can be right.

    ## Example
    ```python
    def test_keeps_norm():
        assert norm_error(x) <= 1e-6

    def test_keeps_norm():
        assert shape(x) == (3, 4, 8)
    ```

    ## Use instead
    ```python
    def test_keeps_norm():
        assert norm_error(x) <= 1e-6

    def test_keeps_shape():
        assert shape(x) == (3, 4, 8)
    ```

    ## References
    - `pv explain dangling-test`
    """

    name = "shadowed-test"
    fix = "rename one of the two functions"

    def check(self, context: LintContext) -> Iterable[Finding]:
        assert context.collection is not None
        for nodeid, line in context.collection.shadowed:
            names = ", ".join(falsifier.id for _, falsifier in context.bindings.get(nodeid, ()))
            bound = f", which {names} names" if names else ""
            yield Finding(
                rule=self.name,
                severity=self.severity,
                message=f"a later function of the same name hides this test: {nodeid!r}{bound}",
                location=Location(file_of(nodeid), line, 1, line, 1),
                subject=nodeid,
            )
