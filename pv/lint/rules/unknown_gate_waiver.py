from __future__ import annotations

from collections.abc import Iterable

from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import Rule
from pv.schema.finding import Finding


class UnknownGateWaiver(Rule):
    """A gate lists a waiver that has no file, or a waiver is about nothing that exists.

    ## What it does
    Looks up every id under a gate's `waivers` among the files in `waivers/`, and the contract, obligation or falsifier
    of every such file among the contracts.

    ## Why is this bad?
    The gate can never say YES, or the waiver covers nothing and nobody sees what it was meant for.

    ## Example
    ```yaml
    id: ship
    waivers: [no-gpu]
    ```

    ## Use instead
    ```yaml
    id: ship
    waivers: [no-gpu-yet]   # waivers/no-gpu-yet.yaml
    ```

    ## References
    - `pv explain gates`
    """

    name = "unknown-gate-waiver"
    fix = "correct the id, or remove the waiver"

    def check(self, context: LintContext) -> Iterable[Finding]:
        hint = Hints()
        known = {item.model.id for item in context.questions.waivers if item.model is not None}
        complete = all(item.model is not None for item in context.questions.waivers)
        for asked in context.questions.gates:
            gate = asked.model
            if gate is None or not complete:
                continue
            for index, listed in enumerate(gate.waivers):
                if listed not in known:
                    message = f"gate {gate.id!r} lists waiver {listed!r}, which has no file{hint(listed, known)}"
                    yield self.at(asked, ("waivers", index), message, subject=gate.id)
        contracts = {contract.id: contract for _, contract in context.readable}
        for parsed in context.questions.waivers:
            waiver = parsed.model
            if waiver is None or waiver.contract in context.unreadable_ids:
                continue
            contract = contracts.get(waiver.contract)
            if contract is None:
                message = f"no contract is called {waiver.contract!r}{hint(waiver.contract, contracts)}"
                yield self.at(parsed, ("contract",), message, subject=waiver.id)
                continue
            for key, name, there in (
                ("obligation", waiver.obligation, [item.id for item in contract.obligations]),
                ("falsifier", waiver.falsifier, [item.id for item in contract.falsifiers]),
            ):
                if name is not None and name not in there:
                    message = f"contract {contract.id!r} has no {key} {name!r}{hint(name, there)}"
                    yield self.at(parsed, (key,), message, subject=waiver.id)
