from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pv.lint.context import LintContext
from pv.lint.rule import Rule
from pv.load import KeyPath
from pv.schema.contract import Contract
from pv.schema.finding import Finding, Severity

_WHOLE = re.compile(
    r"(to ?do|tbd|tba|tbc|fix ?me|xxx+|n/?a|n\.a|none|null|nil|pending|placeholder|unknown|later|same|see above|text"
    r"|lorem ipsum.*|\?+|-+|\.*|…|_+)[\s.!?]*",
    re.IGNORECASE | re.DOTALL,
)
_BEGIN = re.compile(r"(to-?do|fix-?me|tbd|xxx+|lorem ipsum)\b", re.IGNORECASE)


class PlaceholderText(Rule):
    """A text only holds the place of one.

    ## What it does
    Reports texts that are, or begin with, words like todo, tbd, fixme and n/a: in title, description, references,
    equations, properties, reasons, predictions, `if_fails` and the owner of a waiver.

    ## Why is this bad?
    The schema asks for these texts because somebody will need them when a test fails. A placeholder passes the schema
    and leaves that person with nothing.

    ## Example
    ```yaml
    tolerance: {metric: relative_error, limit: 1.0e-3, unit: "1", reason: TODO}
    ```

    ## Use instead
    ```yaml
    tolerance: {metric: relative_error, limit: 1.0e-3, unit: "1", reason: float16 scales keep 11 bits, 2**-11 = 4.9e-4}
    ```

    ## References
    - `pv explain copied-text`
    """

    name = "placeholder-text"
    severity = Severity.WARNING
    fix = "write what a reader needs when the test fails"

    def check(self, context: LintContext) -> Iterable[Finding]:
        for loaded, contract in context.readable:
            for path, text, subject in _texts(contract):
                if _WHOLE.fullmatch(text.strip()) or _BEGIN.match(text.strip()):
                    yield self.at(
                        loaded, path, f"{path[-1]!s} is a placeholder: {text.strip()[:40]!r}", subject=subject
                    )


def _texts(contract: Contract) -> Iterator[tuple[KeyPath, str, str]]:
    """(key path, text, subject) of everything that is written for people."""
    yield ("title",), contract.title, contract.id
    yield ("description",), contract.description, contract.id
    for index, reference in enumerate(contract.references):
        yield ("references", index), reference, contract.id
    for name, equation in contract.equations.items():
        for key in ("formula", "domain", "codomain", "source"):
            if text := getattr(equation, key):
                yield ("equations", name, key), text, f"{contract.id}/{name}"
    for index, obligation in enumerate(contract.obligations):
        subject = f"{contract.id}/{obligation.id}"
        yield ("obligations", index, "property"), obligation.property, subject
        if obligation.tolerance is not None:
            yield ("obligations", index, "tolerance", "reason"), obligation.tolerance.reason, subject
    for index, falsifier in enumerate(contract.falsifiers):
        yield ("falsifiers", index, "prediction"), falsifier.prediction, falsifier.id
        yield ("falsifiers", index, "if_fails"), falsifier.if_fails, falsifier.id
    for index, waiver in enumerate(contract.waivers):
        subject = f"{contract.id}/{waiver.obligation}"
        yield ("waivers", index, "owner"), waiver.owner, subject
        yield ("waivers", index, "reason"), waiver.reason, subject
