from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.nodeid import is_node_id, unsafe_path
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class ProseTestReference(Rule):
    """A falsifier's `test` is not a pytest node id.

    ## What it does
    Expects `path.py::function`, with classes between them and one parameter set in brackets behind them where needed.

    ## Why is this bad?
    A sentence, a command or a bare file name binds nothing: no run can be proven to be *this* test, so the falsifier
    stays OPEN whatever happens.

    ## Example
    ```yaml
    test: run the rope tests on the GPU box
    ```

    ## Use instead
    ```yaml
    test: falsifiers/test_rope.py::test_keeps_norm
    ```

    ## References
    - https://docs.pytest.org/en/stable/how-to/usage.html
    """

    name = "prose-test-reference"
    fix = "write the node id as pytest prints it: path.py::function, or path.py::Class::function[parameters]"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, _, index, falsifier in context.falsifiers():
            if unsafe_path(falsifier.test) is None and not is_node_id(falsifier.test):
                yield self.at(
                    loaded,
                    ("falsifiers", index, "test"),
                    f"test of falsifier {falsifier.id!r} is not a pytest node id",
                    subject=falsifier.id,
                )
