from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding, Severity


class MissingChallenge(Rule):
    """A falsifier has no challenge.

    ## What it does
    Expects at least one seeded fault under `challenges` of every falsifier.

    ## Why is this bad?
    Nobody has seen this test fail. It may compare a value with itself, run on the wrong backend, or loop over an empty
    list, and be green for ever. Without a challenge that was caught, the falsifier cannot reach DISCHARGED.

    ## Example
    ```yaml
    - id: FALSIFY-ROPE-001
      test: falsifiers/test_rope.py::test_keeps_norm
    ```

    ## Use instead
    ```yaml
    - id: FALSIFY-ROPE-001
      test: falsifiers/test_rope.py::test_keeps_norm
      challenges: [mypackage.faults:rope_on_q_only]
    ```

    ## References
    - `pv explain DISCHARGED`
    - `pv explain CAUGHT`
    """

    name = "missing-challenge"
    severity = Severity.WARNING
    fix = "add a fault that this test must catch; without one it cannot be DISCHARGED"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, _, index, falsifier in context.falsifiers():
            if not falsifier.challenges:
                yield self.at(
                    loaded,
                    ("falsifiers", index, "id"),
                    f"falsifier {falsifier.id!r} has no challenge: nothing shows that its test can fail",
                    subject=falsifier.id,
                )
