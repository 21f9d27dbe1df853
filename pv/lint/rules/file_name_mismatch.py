from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import Parsed
from pv.schema.finding import Finding, Severity


class FileNameMismatch(Rule):
    """A contract's file is not named after its id and major version.

    ## What it does
    Expects `<id>-v<major>.yaml`; an id with slashes names folders as well. Gates and waivers are `<id>.yaml`.

    ## Why is this bad?
    People look for a contract by its id. A file that still has the name of the contract it was copied from is read,
    edited and cited as the wrong one.

    ## Example
    ```yaml
    # contracts/rope-v1.yaml
    id: rope
    version: 2.0.0
    ```

    ## Use instead
    ```yaml
    # contracts/rope-v2.yaml
    id: rope
    version: 2.0.0
    ```

    ## References
    - `pv explain duplicate-contract-id`
    """

    name = "file-name-mismatch"
    severity = Severity.WARNING

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            expected = f"{contract.id}-v{contract.version.partition('.')[0]}"
            stem = loaded.path.rpartition(".")[0]
            if stem != expected and not stem.endswith(f"/{expected}"):
                yield self.at(
                    loaded,
                    ("id",),
                    f"contract {contract.id!r} version {contract.version} is not in a file named {expected}.yaml",
                    subject=contract.id,
                    fix=f"rename the file to {expected}.yaml, or correct id or version",
                )
        others: tuple[Parsed[Any], ...] = (*context.questions.gates, *context.questions.waivers)
        for parsed in others:
            name = parsed.model.id if parsed.model is not None else ""
            if name and name != PurePosixPath(parsed.path).stem:
                yield self.at(
                    parsed,
                    ("id",),
                    f"{name!r} is not in a file named {name}.yaml",
                    subject=name,
                    fix=f"rename the file to {name}.yaml, or correct the id",
                )
