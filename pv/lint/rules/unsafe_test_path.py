from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.nodeid import unsafe_path
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class UnsafeTestPath(Rule):
    """A falsifier's `test` points outside the project, or would be read as an option.

    ## What it does
    Refuses absolute paths, `~`, drive letters, `..`, backslashes, `$`, control characters, and a leading `-` or `@`.

    ## Why is this bad?
    Collecting a test runs code. A path outside the project runs code that was not reviewed with it, and exists on one
    machine only; pytest reads a leading `-` as an option and a leading `@` as a file of options, even after `--`.

    ## Example
    ```yaml
    test: ../other-project/test_rope.py::test_keeps_norm
    ```

    ## Use instead
    ```yaml
    test: falsifiers/test_rope.py::test_keeps_norm
    ```

    ## References
    - https://docs.python.org/3/library/argparse.html#fromfile-prefix-chars
    """

    name = "unsafe-test-path"
    fix = "write a path relative to the project's root, with forward slashes"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, _, index, falsifier in context.falsifiers():
            problem = unsafe_path(falsifier.test)
            if problem is not None:
                yield self.at(
                    loaded,
                    ("falsifiers", index, "test"),
                    f"test path of falsifier {falsifier.id!r} {problem}",
                    subject=falsifier.id,
                )
