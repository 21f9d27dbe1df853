from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding, Severity


class UnknownFault(BindingRule):
    """A challenge names a fault that does not exist.

    ## What it does
    Looks up the module and the function of every fault among the project's own files, without importing them. Faults of
    installed packages are left alone.

    ## Why is this bad?
    A fault that cannot be applied is never caught, so the falsifier can never be DISCHARGED, and the mistake would only
    show after every test has run.

    ## Example
    ```yaml
    challenges: [mypackage.faults:nible_swap]
    ```

    ## Use instead
    ```yaml
    challenges: [mypackage.faults:nibble_swap]
    ```

    ## References
    - `pv explain NOT_APPLIED`
    - `pv explain missing-challenge`
    """

    name = "unknown-fault"
    severity = Severity.ERROR
    fix = "correct the name, or write the fault"

    def check(self, context: LintContext) -> Iterable[Finding]:
        hint = Hints()
        for loaded, _, index, falsifier in context.falsifiers():
            for position, challenge in enumerate(falsifier.challenges):
                module, _, function = challenge.fault.partition(":")
                if not context.modules.is_own(module):
                    continue
                found = context.modules.find(module)
                if found is None:
                    problem = f"there is no module {module!r}"
                elif found.names is not None and function not in found.names:
                    problem = f"module {module!r} has no {function!r}{hint(function, found.names)}"
                else:
                    continue
                yield self.at(
                    loaded,
                    ("falsifiers", index, "challenges", position),
                    f"fault {challenge.fault!r} does not exist: {problem}",
                    subject=falsifier.id,
                )
