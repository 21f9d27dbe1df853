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
    """In plain text or LaTeX; names its variables."""
    domain: Text
    """What goes in: shapes, types, ranges."""
    codomain: Text
    """What comes out."""
    invariants: tuple[Text, ...] = ()
    """What holds for every input."""
    source: Text | None = None
    """Where the formula stands: a paper, a specification, a line of code."""


class Tolerance(Model):
    """How far a measured value may be from the ideal."""

    metric: Text
    """What is measured, such as max_abs, max_rel or cosine."""
    limit: Annotated[Number, Field(gt=0)]
    """In the unit beside it."""
    bound: Literal["at_most", "at_least"] = "at_most"
    """`at_most`: the measured value is an error; `at_least`: it is a score."""
    unit: Text
    """`1` for a pure ratio."""
    reason: Text
    """Why this limit and no other: a derivation, not a wish."""


class Obligation(Model):
    """One thing that must hold."""

    id: SlugId
    """Unique in the contract."""
    type: ObligationType
    """What sort of claim; equivalence, bound, linearity, symmetry and conservation compare numbers."""
    equation: SlugId | None = None
    """Key under `equations` that this is about."""
    property: Text
    """The claim in one sentence."""
    tolerance: Tolerance | None = None
    """Needed where numbers are compared, unless `exact` is true."""
    exact: Boolean = False
    """Claims equality, bit for bit or value for value, so that no tolerance applies."""


class Challenge(Model):
    """A seeded fault that the falsifier must catch."""

    fault: FaultRef
    """`package.module:function`, a context manager without required arguments."""
    grade: Literal["relative"] | None = None
    """`relative`: the fault takes a relative size, and the smallest caught size is measured."""


def _challenge(value: Any) -> Any:
    return {"fault": value} if isinstance(value, str) else value


ChallengeItem = Annotated[Challenge, BeforeValidator(_challenge, json_schema_input_type=FaultRef | Challenge)]


class Falsifier(Model):
    """One attempt to refute obligations."""

    id: FalsifierId
    """Unique in the catalog; the test carries it as `@pytest.mark.falsifies(...)`."""
    refutes: Annotated[tuple[SlugId, ...], Field(min_length=1)]
    """Ids of obligations that do not hold if this fails."""
    prediction: Text
    """What is observed if the obligations hold."""
    test: Annotated[Text, StringConstraints(max_length=1024)]
    """A pytest node id relative to the project's root; without `[...]` it binds every parameter set."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """What DISCHARGED needs."""
    challenges: tuple[ChallengeItem, ...] = ()
    """Seeded faults that this must catch; DISCHARGED needs at least one."""
    subjects: tuple[Text, ...] = ()
    """Dotted names of further modules whose change makes the evidence stale."""
    if_fails: Text
    """What a failure means, and where to look first."""
    timeout_s: Annotated[Number, Field(gt=0, le=86400)] = 120.0
    """Seconds for all its tests together."""


class Waiver(Model):
    """A known defect that somebody answers for, until a date; it stays visible."""

    obligation: SlugId
    """Id of an obligation of this contract."""
    owner: Text
    """Who answers for it."""
    reason: Text
    """Why it may wait, and what would end it."""
    expires: Date
    """Last day on which it counts, at most a year ahead, such as 2027-01-31."""


MAX_SUPPRESSION_DAYS = 366
"""Longest that a suppression may last from today; one that lasts longer hides nothing."""


class Suppression(Model):
    """A finding of `pv lint` that somebody decided to live with, until a date."""

    rule: SlugId
    """Name of the rule; errors that keep a file from being read cannot be suppressed."""
    id: FalsifierId
    """Of the obligation, falsifier or contract that the finding is about."""
    reason: Text
    """Why the finding may stay."""
    owner: Text
    """Who answers for it."""
    until: Date
    """Last day on which it counts, at most a year ahead, such as 2027-01-31."""


class FalsifierDischarge(Model):
    standing: Standing
    have: tuple[Target, ...] = ()
    """Targets with a fresh PASS."""
    missing: tuple[Text, ...] = ()
    """What DISCHARGED still lacks."""
    evidence: tuple[Digest, ...] = ()
    """Records that count."""


class Discharge(Model):
    """Written by `pv discharge`; a cache that has no power over any verdict."""

    standing: Standing
    falsifiers: dict[FalsifierId, FalsifierDischarge] = Field(default_factory=dict)
    """By id."""


class Contract(Model):
    """A versioned file of claims."""

    id: SlugId
    """Unique in the catalog; the file is <id>-v<major>.yaml."""
    version: SemVer
    """Semantic version of the claims, such as 1.2.0."""
    kind: Kind
    """What the contract is about."""
    title: Text
    """The claim in a few words."""
    description: Text
    """What is claimed, and why it matters."""
    references: tuple[Text, ...] = ()
    """Papers, specifications, issues."""
    depends_on: tuple[SlugId, ...] = ()
    """Ids of contracts that this one builds on."""
    equations: dict[SlugId, Equation] = Field(default_factory=dict)
    """By name; obligations refer to them."""
    obligations: Annotated[tuple[Obligation, ...], Field(min_length=1)]
    """What must hold."""
    falsifiers: tuple[Falsifier, ...] = ()
    """Attempts to refute the obligations; each obligation needs one, or a waiver."""
    waivers: tuple[Waiver, ...] = ()
    """Known defects."""
    suppress: tuple[Suppression, ...] = ()
    """Findings that are known here; no part of the claim."""
    discharge: Discharge | None = None
    """Machine-written; typing it by hand has no effect."""

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("a contract is a mapping of keys to values")
        return value
