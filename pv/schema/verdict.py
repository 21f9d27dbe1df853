"""The closed vocabularies: target, result, challenge outcome, standing, gate answer."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from pv.schema.base import as_text

TARGET_PATTERN = r"^(cpu|cpu-oracle|cuda|cuda:sm_[0-9]{2,3}|cuda-interpreted|cuda-compiled)$"
Target = Annotated[str, StringConstraints(pattern=TARGET_PATTERN), BeforeValidator(as_text)]
"""Where a falsifier runs: cpu, cpu-oracle, cuda, cuda:sm_90, cuda-interpreted, cuda-compiled."""


class Result(StrEnum):
    """What happened to one falsifier on one target in one run."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"
    CRASH = "CRASH"
    FLAKY = "FLAKY"
    SKIPPED = "SKIPPED"
    NOT_RUN = "NOT_RUN"
    WRONG_TARGET = "WRONG_TARGET"


class ChallengeOutcome(StrEnum):
    """What a falsifier did when a fault was seeded."""

    CAUGHT = "CAUGHT"
    """It failed, as it must."""
    SURVIVED = "SURVIVED"
    """It passed with the fault applied: it cannot see this fault."""
    BROKEN = "BROKEN"
    """It ended in anything but a pass or a failed assertion; an error is not a catch."""
    NOT_APPLIED = "NOT_APPLIED"
    """The fault's own code never ran, so nothing was proven."""


class Standing(StrEnum):
    """What the evidence supports."""

    DISCHARGED = "DISCHARGED"
    PARTIAL = "PARTIAL"
    FALSIFIED = "FALSIFIED"
    STALE = "STALE"
    OPEN = "OPEN"
    WAIVED = "WAIVED"


class GateAnswer(StrEnum):
    YES = "YES"
    NO = "NO"
    CANNOT_DECIDE = "CANNOT DECIDE"


def is_target(text: str) -> bool:
    return re.fullmatch(TARGET_PATTERN.strip("^$"), text) is not None


def serves(ran: str, required: str) -> bool:
    """Whether a run on target `ran` is a run on the required target itself.

    `cuda:sm_90` is one kind of `cuda`; the interpreter and the compiler are neither.
    """
    return ran == required or (required == "cuda" and ran.startswith("cuda:"))


def is_weaker(ran: str, required: str) -> bool:
    """Whether `ran` supports PARTIAL, and never more, for `required`."""
    if serves(ran, required):
        return False
    return required.startswith("cuda") and ran in ("cpu", "cuda-interpreted", "cuda-compiled")
