"""An evidence record: an in-toto Statement v1 over one falsifier on one target.

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from pv.schema.base import FalsifierId, Model, SemVer, SlugId, Text
from pv.schema.verdict import ChallengeOutcome, Result, Target

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:pv-contracts:evidence:1"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DigestSet(Model):
    sha256: Sha256


class Subject(Model):
    """`contract`, `test`, `code`, `model` or `schema`: a component whose change makes the evidence stale."""

    name: Text
    digest: DigestSet


class Value(Model):
    name: Text
    value: float = Field(allow_inf_nan=False)
    unit: Text
    limit: float | None = Field(default=None, allow_inf_nan=False)
    bound: Literal["at_most", "at_least"] = "at_most"
    margin: float | None = Field(default=None, allow_inf_nan=False)


class ChallengeRecord(Model):
    fault: Text
    outcome: ChallengeOutcome
    reason: str
    duration_s: float = Field(ge=0)
    smallest_caught: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Relative size of a graded fault, where it was searched for and found."""


class AttachmentRecord(Model):
    name: Text
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class Environment(Model):
    """An allow-list; nothing else about the machine is recorded."""

    host: Text
    """A salted tag, never the host's name."""
    system: Text
    machine: Text
    cpu_count: int
    versions: dict[str, str]
    threads: dict[str, str] = Field(default_factory=dict)
    """Variables that say how many threads a library may have, of the tests and of their challenges."""


class Predicate(Model):
    run: Text
    """Id of the run: every record of one `pv discharge` has the same."""
    started: Text
    """UTC, RFC 3339."""
    duration_s: float = Field(ge=0)
    contract: SlugId
    contract_version: SemVer
    falsifier: FalsifierId
    target: Target
    """The target that was claimed."""
    ran_target: Target | None
    """The target that the test recorded as run."""
    device: dict[str, Any] = Field(default_factory=dict)
    result: Result
    reason: str
    tests: tuple[Text, ...]
    """Node ids of the plan."""
    tests_begun: int = Field(ge=0)
    tests_passed: int = Field(ge=0)
    values: tuple[Value, ...] = ()
    challenges: tuple[ChallengeRecord, ...] = ()
    attachments: tuple[AttachmentRecord, ...] = ()
    files: dict[str, dict[str, Sha256]]
    """Per subject the files behind its digest, so that a change can be named."""
    environment: Environment
    pv_version: Text


class Statement(Model):
    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[Subject, ...], Field(min_length=1)]
    predicateType: Literal["urn:pv-contracts:evidence:1"]  # noqa: N815 - in-toto's spelling
    predicate: Predicate
