"""Classes of changes, by what they do to somebody who relies on the contract.

breaking    it claims something else; nobody but a reader can say whether that is more or less
loosened    it claims less, or is harder to refute: old users may no longer rely on it
tightened   it claims more, or is easier to refute: old evidence may no longer do
editorial   it claims the same in other words
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Class(StrEnum):
    """Strongest first."""

    BREAKING = "breaking"
    LOOSENED = "loosened"
    TIGHTENED = "tightened"
    EDITORIAL = "editorial"

    @property
    def part(self) -> Part:
        """The part of the version that must rise; versions are those of the claims, also below 1.0.0."""
        return _PARTS[self]


class Part(StrEnum):
    """Of a semantic version, strongest first."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


_PARTS = {
    Class.BREAKING: Part.MAJOR,
    Class.LOOSENED: Part.MAJOR,
    Class.TIGHTENED: Part.MINOR,
    Class.EDITORIAL: Part.PATCH,
}


@dataclass(frozen=True, slots=True)
class Change:
    kind: Class
    key: str
    """Where, with ids instead of indices: `obligations[angles].tolerance.limit`."""
    old: str
    """As text; empty if it was not there."""
    new: str
    """As text; empty if it is gone."""
    why: str = ""
    """Why it is of this class, where the key does not say it."""


def strongest(changes: tuple[Change, ...]) -> Class | None:
    order = list(Class)
    return min((item.kind for item in changes), key=order.index, default=None)
