from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.nodeid import file_of
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding, Severity
from pv.schema.location import Location


class CollectionError(BindingRule):
    """Pytest cannot collect a test file.

    ## What it does
    Reports every file whose collection ended in an error: an import that fails, a syntax error, an unknown marker.

    ## Why is this bad?
    No test of the file can run, so every falsifier bound to it is OPEN, and what the file holds is not known: a wrong
    node id in a contract cannot be told from a right one.

    ## Example
    ```python
    # falsifiers/test_rope.py
    from engine.ops import roep
    ```

    ## Use instead
    ```python
    # falsifiers/test_rope.py
    from engine.ops import rope
    ```

    ## References
    - `pv explain dangling-test`
    """

    name = "collection-error"
    severity = Severity.ERROR
    fix = "run 'python -m pytest --collect-only' on the file and repair it"

    def check(self, context: LintContext) -> Iterable[Finding]:
        assert context.collection is not None
        claims: dict[str, list[tuple[str, Location]]] = {problem.path: [] for problem in context.collection.problems}
        for loaded, _, index, falsifier in context.falsifiers():
            places = claims.get(file_of(falsifier.test))
            if places is not None:
                note = f"{falsifier.id} names a test of this file here"
                places.append((note, loaded.locations[("falsifiers", index, "test")]))
        for problem in context.collection.problems:
            reason = problem.message.strip().partition("\n")[0]
            yield Finding(
                rule=self.name,
                severity=self.severity,
                message=f"pytest cannot collect {problem.path}: {reason}",
                location=Location(problem.path),
                subject=problem.path,
                related=tuple(claims[problem.path]),
            )
