from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.modules import is_dotted
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class MalformedSubject(Rule):
    """A subject is not the dotted name of a module.

    ## What it does
    Expects each entry of `subjects` to look like `package.module`.

    ## Why is this bad?
    Subjects are modules whose change makes the evidence stale. A path or a sentence names no module, so the code under
    test could change and the evidence would still look fresh.

    ## Example
    ```yaml
    subjects: [engine/ops/rope.py]
    ```

    ## Use instead
    ```yaml
    subjects: [engine.ops.rope]
    ```

    ## References
    - `pv explain STALE`
    - `pv explain unknown-subject`
    """

    name = "malformed-subject"
    fix = "write the module's dotted name, such as package.module"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, _, index, falsifier in context.falsifiers():
            for position, name in enumerate(falsifier.subjects):
                if not is_dotted(name):
                    yield self.at(
                        loaded,
                        ("falsifiers", index, "subjects", position),
                        f"subject {name!r} is not the dotted name of a module",
                        subject=falsifier.id,
                    )
