"""Evidence records, as far as a discharge block can be held against them."""

from __future__ import annotations

from dataclasses import dataclass

from pv.schema.verdict import Result


@dataclass(frozen=True, slots=True)
class Recorded:
    contract: str
    falsifier: str
    target: str
    result: Result
    proves: bool
    """It has measured values, and every challenge (at least one) was caught."""
