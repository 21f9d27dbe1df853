from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity


class DuplicateChallenge(Rule):
    """A falsifier names the same fault twice.

    ## What it does
    Compares the faults under `challenges` of each falsifier.

    ## Why is this bad?
    Two challenges look like twice the proof, but the second run shows nothing new and costs as much time as the first.

    ## Example
    ```yaml
    challenges: [mypackage.faults:nibble_swap, mypackage.faults:nibble_swap]
    ```

    ## Use instead
    ```yaml
    challenges: [mypackage.faults:nibble_swap, mypackage.faults:scale_high_bits_lost]
    ```

    ## References
    - `pv explain missing-challenge`
    """

    name = "duplicate-challenge"
    severity = Severity.WARNING
    fix = "remove one, or name another fault"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, _, index, falsifier in context.falsifiers():
            seen: set[str] = set()
            for position, challenge in enumerate(falsifier.challenges):
                if challenge.fault in seen:
                    yield self.at(
                        loaded,
                        ("falsifiers", index, "challenges", position),
                        f"falsifier {falsifier.id!r} names fault {challenge.fault!r} twice",
                        subject=falsifier.id,
                    )
                seen.add(challenge.fault)
