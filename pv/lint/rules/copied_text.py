from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import KeyPath, Loaded
from pv.schema.finding import Finding, Severity


class _Original(NamedTuple):
    """Whose text it was first."""

    id: str
    loaded: Loaded
    path: KeyPath


class CopiedText(Rule):
    """Two falsifiers predict the same, or two obligations state the same property.

    ## What it does
    Compares predictions over the whole catalog and properties within each contract; case and blanks do not matter.

    ## Why is this bad?
    Either the claim was counted twice, or the text was copied and never adapted, and then one of the two says
    something that its test does not check.

    ## Example
    ```yaml
    falsifiers:
      - {id: FALSIFY-Q4K-001, prediction: decoded blocks equal the reference, ...}
      - {id: FALSIFY-Q6K-001, prediction: decoded blocks equal the reference, ...}
    ```

    ## Use instead
    ```yaml
    falsifiers:
      - {id: FALSIFY-Q4K-001, prediction: "4096 random Q4_K blocks decode to the reference's floats, bit for bit", ...}
      - {id: FALSIFY-Q6K-001, prediction: "4096 random Q6_K blocks decode to the reference's floats, bit for bit", ...}
    ```

    ## References
    - `pv explain placeholder-text`
    """

    name = "copied-text"
    severity = Severity.WARNING
    fix = "say what sets this one apart, or remove the copy"

    def check(self, context: LintContext) -> Iterable[Finding]:
        predictions: dict[str, _Original] = {}
        for loaded, contract in context.readable:
            properties: dict[str, _Original] = {}
            for index, obligation in enumerate(contract.obligations):
                path = ("obligations", index, "property")
                own = _Original(obligation.id, loaded, path)
                first = properties.setdefault(_folded(obligation.property), own)
                if first is not own:
                    yield self.at(
                        loaded,
                        path,
                        f"obligation {obligation.id!r} states the same property as {first.id!r}",
                        subject=f"{contract.id}/{obligation.id}",
                        related=((f"{first.id} says so here", first.loaded.locations[first.path]),),
                    )
            for index, falsifier in enumerate(contract.falsifiers):
                path = ("falsifiers", index, "prediction")
                own = _Original(falsifier.id, loaded, path)
                first = predictions.setdefault(_folded(falsifier.prediction), own)
                if first is not own:
                    yield self.at(
                        loaded,
                        path,
                        f"falsifier {falsifier.id!r} predicts the same as {first.id!r}",
                        subject=falsifier.id,
                        related=((f"{first.id} says so here", first.loaded.locations[first.path]),),
                    )


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
