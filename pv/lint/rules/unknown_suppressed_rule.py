from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class UnknownSuppressedRule(Rule):
    """A suppression names no rule, or one that cannot be suppressed.

    ## What it does
    Looks up `rule` of every entry under `suppress:`. Errors that keep a file from being read, edited discharge blocks,
    missing version bumps and findings about suppressions themselves cannot be suppressed.

    ## Why is this bad?
    The entry hides nothing, and its author believes that it does.

    ## Example
    ```yaml
    suppress:
      - {rule: missing-refrence, id: rope, reason: paper is not public, owner: kernels team, until: 2027-01-31}
    ```

    ## Use instead
    ```yaml
    suppress:
      - {rule: missing-reference, id: rope, reason: paper is not public, owner: kernels team, until: 2027-01-31}
    ```

    ## References
    - `pv rules`
    """

    name = "unknown-suppressed-rule"
    suppressible = False
    fix = "write the name of a rule as 'pv rules' lists it, or remove the entry"

    def check(self, context: LintContext) -> Iterable[Finding]:
        from pv.lint.registry import RULES_BY_NAME  # the registry imports this module

        hint = Hints()
        for loaded, contract in context.readable:
            for index, item in enumerate(contract.suppress):
                rule = RULES_BY_NAME.get(item.rule)
                if rule is not None and rule.suppressible:
                    continue
                what = "cannot be suppressed" if rule is not None else f"is no rule{hint(item.rule, RULES_BY_NAME)}"
                yield self.at(
                    loaded,
                    ("suppress", index, "rule"),
                    f"{item.rule!r} {what}",
                    subject=f"{contract.id}/{item.id}",
                )
