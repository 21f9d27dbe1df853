"""A waiver file: somebody answers for a gap or a known defect on one target, until a date.

It renames nothing: what is FALSIFIED stays FALSIFIED, and the waiver is printed beside it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from pv.schema.base import Date, FalsifierId, Model, SlugId, Text
from pv.schema.verdict import Target

MAX_WAIVER_DAYS = 366
"""Longest that a waiver may last from today, here or in a contract; one that lasts longer does not count."""


class GateWaiver(Model):
    """The file is waivers/<id>.yaml in a contract folder; a gate must list its id."""

    id: SlugId
    """Also the name of the file."""
    contract: SlugId
    """Id of the contract concerned."""
    obligation: SlugId | None = None
    """Only this obligation of the contract."""
    falsifier: FalsifierId | None = None
    """Only this falsifier of the contract."""
    target: Target
    """Where it counts."""
    accepts: Literal["unproven", "refuted"] = "unproven"
    """`unproven`: evidence is missing, partial or stale; `refuted`: it may also be FALSIFIED."""
    owner: Text
    """Who answers for it."""
    reason: Text
    """Why it may wait, and what would end it."""
    expires: Date
    """Last day on which it counts, at most a year ahead, such as 2027-01-31."""

    @model_validator(mode="before")
    @classmethod
    def _names_one_thing(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("obligation") and value.get("falsifier"):
            raise ValueError("a waiver names an obligation or a falsifier, not both; write two waivers")
        return value
