"""A gate file: a release question over contracts and targets."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pv.schema.base import Boolean, Integer, Model, SlugId, Text
from pv.schema.verdict import Target


class Requirement(Model):
    """Contracts that must be DISCHARGED."""

    select: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Ids of contracts or falsifiers, globs over ids, `kind:KIND`, or `path:GLOB` over contract files."""
    targets: tuple[Target, ...] = ()
    """Targets of the gate that this concerns; all of them by default."""
    on: Target | None = None
    """Where the evidence must come from; the target that is asked about by default."""
    at_least: Annotated[Integer, Field(ge=1)] = 1
    """Fewest contracts that `select` must name, so that deleting one does not go unseen."""


def _requirement(value: Any) -> Any:
    return {"select": [value]} if isinstance(value, str) else value


RequirementItem = Annotated[
    Requirement, BeforeValidator(_requirement, json_schema_input_type=Annotated[str, "selector"] | Requirement)
]


class Gate(Model):
    """The file is gates/<id>.yaml in a contract folder."""

    id: SlugId
    """Also the name of the file."""
    question: Text
    """What a YES allows, in one sentence."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """Where it is asked; each target has an answer of its own."""
    requires: tuple[RequirementItem, ...] = ()
    """Everything that a YES needs; a gate that requires nothing cannot be decided."""
    waivers: tuple[SlugId, ...] = ()
    """Ids of waiver files that this gate accepts; a waiver that is not listed has no effect."""
    registered: Boolean = False
    """Whether evidence counts only if its contract was in git before the run."""
    description: Text | None = None
    references: tuple[Text, ...] = ()
