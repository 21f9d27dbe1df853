"""Findings that somebody decided to live with: in a baseline file, or suppressed inside a contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from pv.schema.finding import Finding
from pv.schema.location import Location

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """What a finding is about, whatever line it moves to."""

    rule: str
    subject: str
    path: str
    """Of the file, where there is no subject to know it by."""
    key: str
    """Path of the key, without indices."""

    @classmethod
    def of(cls, finding: Finding) -> Identity:
        path = "" if finding.subject else finding.location.path
        return cls(finding.rule, finding.subject, path, _INDEX.sub("[]", finding.key))

    def __str__(self) -> str:
        key = f" at {self.key}" if self.key else ""
        return f"{self.rule} of {self.subject or self.path}{key}"


@dataclass(frozen=True, slots=True)
class Entry:
    """Up to `count` findings of one identity are known."""

    identity: Identity
    count: int
    until: date
    """Last day on which it counts."""
    place: Location


@dataclass(frozen=True, slots=True)
class Baseline:
    path: str
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Leftover:
    """What nothing needed, of the rules that ran."""

    suppressions: tuple[tuple[str, int], ...] = ()
    """(contract file, index under `suppress`)."""
    entries: tuple[tuple[Entry, int], ...] = ()
    """(entry, how many findings it covered): fewer than its count."""
