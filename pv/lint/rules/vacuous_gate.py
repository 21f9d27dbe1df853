from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from pv.catalog import selects
from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class VacuousGate(Rule):
    """A gate requires nothing, or a selector of it names nothing.

    ## What it does
    Looks up every selector under `requires` among the contracts and falsifiers of the project, and counts the
    contracts that each requirement names.

    ## Why is this bad?
    Such a gate can never say YES, and nobody may have noticed that the contract it was about is gone.

    ## Example
    ```yaml
    id: ship
    question: May the model ship?
    targets: [cpu]
    requires: [rop]
    ```

    ## Use instead
    ```yaml
    requires: [rope]
    ```

    ## References
    - `pv explain gates`
    """

    name = "vacuous-gate"
    fix = "name contracts, falsifiers, globs over ids, kind:KIND or path:GLOB that exist"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for parsed in context.questions.gates:
            gate = parsed.model
            if gate is None:
                continue
            if not gate.requires:
                yield self.at(parsed, ("id",), f"gate {gate.id!r} requires nothing", subject=gate.id)
            for index, requirement in enumerate(gate.requires):
                named: set[str] = set()
                for selector in requirement.select:
                    found = {
                        contract.id
                        for loaded, contract in context.readable
                        if selects(selector, contract, loaded.path)
                        or any(fnmatchcase(item.id, selector) for item in contract.falsifiers)
                    }
                    if not found:
                        message = f"gate {gate.id!r} requires {selector!r}, which names no contract and no falsifier"
                        yield self.at(parsed, ("requires", index), message, subject=gate.id)
                    named |= found
                if named and len(named) < requirement.at_least:
                    wanted = f"at least {requirement.at_least} contracts here"
                    message = f"gate {gate.id!r} requires {wanted}, {len(named)} are there"
                    yield self.at(parsed, ("requires", index), message, subject=gate.id)
