"""A contract file: claims, what they mean, and how to refute them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from pv.schema.base import (
    Boolean,
    Date,
    Digest,
    FalsifierId,
    FaultRef,
    Model,
    Number,
    SemVer,
    SlugId,
    Text,
)
from pv.schema.verdict import Standing, Target


class Kind(StrEnum):
    KERNEL = "kernel"
    FORMAT = "format"
    PARITY = "parity"
    MODEL = "model"
    PIPELINE = "pipeline"
    GATE = "gate"
    PROCESS = "process"


class ObligationType(StrEnum):
    INVARIANT = "invariant"
    EQUIVALENCE = "equivalence"
    BOUND = "bound"
    MONOTONICITY = "monotonicity"
    IDEMPOTENCY = "idempotency"
    LINEARITY = "linearity"
    SYMMETRY = "symmetry"
    CONSERVATION = "conservation"
    ORDERING = "ordering"
    COMPLETENESS = "completeness"
    SOUNDNESS = "soundness"
    DETERMINISM = "determinism"
    ROUNDTRIP = "roundtrip"
    TERMINATION = "termination"
    SAFETY = "safety"


NUMERIC_TYPES = frozenset(
    {
        ObligationType.EQUIVALENCE,
        ObligationType.BOUND,
        ObligationType.LINEARITY,
        ObligationType.SYMMETRY,
        ObligationType.CONSERVATION,
    }
)
"""Obligations that compare numbers: each needs a tolerance, or says `exact: true`."""


class Equation(Model):
    """The mathematics of a claim."""

    formula: Text
    domain: Text
    codomain: Text
    invariants: tuple[Text, ...] = ()
    source: Text | None = None


class Tolerance(Model):
    """How far a measured value may be from the ideal."""

    metric: Text
    limit: Annotated[Number, Field(gt=0)]
    bound: Literal["at_most", "at_least"] = "at_most"
    """`at_most`: the measured value is an error; `at_least`: it is a score."""
    unit: Text
    """`1` for a pure ratio."""
    reason: Text


class Obligation(Model):
    """One thing that must hold."""

    id: SlugId
    type: ObligationType
    equation: SlugId | None = None
    property: Text
    tolerance: Tolerance | None = None
    exact: Boolean = False
    """Claims equality, bit for bit or value for value, so that no tolerance applies."""


class Challenge(Model):
    """A seeded fault that the falsifier must catch."""

    fault: FaultRef
    grade: Literal["relative"] | None = None
    """`relative`: the fault takes a relative size, and the smallest caught size is measured."""


def _challenge(value: Any) -> Any:
    return {"fault": value} if isinstance(value, str) else value


ChallengeItem = Annotated[Challenge, BeforeValidator(_challenge, json_schema_input_type=FaultRef | Challenge)]


class Falsifier(Model):
    """One attempt to refute obligations."""

    id: FalsifierId
    refutes: Annotated[tuple[SlugId, ...], Field(min_length=1)]
    prediction: Text
    test: Annotated[Text, StringConstraints(max_length=1024)]
    """A pytest node id relative to the project's root; without `[...]` it binds every parameter set."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """What DISCHARGED needs."""
    challenges: tuple[ChallengeItem, ...] = ()
    subjects: tuple[Text, ...] = ()
    """Dotted names of further modules whose change makes the evidence stale."""
    if_fails: Text
    timeout_s: Annotated[Number, Field(gt=0, le=86400)] = 120.0


class Waiver(Model):
    """A known defect that somebody answers for, until a date; it stays visible."""

    obligation: SlugId
    owner: Text
    reason: Text
    expires: Date


class FalsifierDischarge(Model):
    standing: Standing
    have: tuple[Target, ...] = ()
    missing: tuple[Text, ...] = ()
    evidence: tuple[Digest, ...] = ()


class Discharge(Model):
    """Written by `pv discharge`; a cache that has no power over any verdict."""

    standing: Standing
    falsifiers: dict[FalsifierId, FalsifierDischarge] = Field(default_factory=dict)


class Contract(Model):
    """A versioned file of claims."""

    id: SlugId
    version: SemVer
    kind: Kind
    title: Text
    description: Text
    references: tuple[Text, ...] = ()
    depends_on: tuple[SlugId, ...] = ()
    equations: dict[SlugId, Equation] = Field(default_factory=dict)
    obligations: Annotated[tuple[Obligation, ...], Field(min_length=1)]
    falsifiers: tuple[Falsifier, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    discharge: Discharge | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("a contract is a mapping of keys to values")
        return value
