"""One thing that is wrong, in SARIF's words: rule, level, message, location."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pv.schema.location import Location


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    """The rule's name, such as `dangling-test`."""
    severity: Severity
    message: str
    """States the problem in one line; lower case, no full stop."""
    location: Location
    fix: str = ""
    """What to do, in one line; empty where the rule's own fix line says it all."""
    subject: str = ""
    """Id of the contract, obligation or falsifier concerned; stable across edits."""
    key: str = ""
    """Dotted path in the file, such as `falsifiers[0].test`."""
    related: tuple[tuple[str, Location], ...] = field(default=())
    """Other places that matter: (note, location)."""

    def sort_key(self) -> tuple[Location, str, str]:
        return (self.location, self.rule, self.message)
