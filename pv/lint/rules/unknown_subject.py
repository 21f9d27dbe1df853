from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.modules import is_dotted
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding, Severity


class UnknownSubject(BindingRule):
    """A falsifier names a module of the project that does not exist.

    ## What it does
    Looks up every entry of `subjects` among the project's own files, without importing them. Installed packages are
    left alone.

    ## Why is this bad?
    Subjects are modules whose change makes the evidence stale. A module that does not exist never changes: the code
    that was meant can, and the evidence would still look fresh.

    ## Example
    ```yaml
    subjects: [mypackage.ops.roep]
    ```

    ## Use instead
    ```yaml
    subjects: [mypackage.ops.rope]
    ```

    ## References
    - `pv explain STALE`
    - `pv explain malformed-subject`
    """

    name = "unknown-subject"
    severity = Severity.ERROR
    fix = "correct the name, or remove it"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, _, index, falsifier in context.falsifiers():
            for position, name in enumerate(falsifier.subjects):
                if is_dotted(name) and context.modules.is_own(name) and context.modules.find(name) is None:
                    yield self.at(
                        loaded,
                        ("falsifiers", index, "subjects", position),
                        f"there is no module {name!r}",
                        subject=falsifier.id,
                    )
