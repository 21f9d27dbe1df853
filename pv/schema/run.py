"""One falsifier on one target in one run: what was planned, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pv.schema.verdict import ChallengeOutcome, Result


@dataclass(frozen=True, slots=True)
class Job:
    """One falsifier to run on one target."""

    falsifier: str
    contract: str
    nodeids: tuple[str, ...]
    """Exact ids from pytest's own collection; all of them must pass."""
    target: str
    timeout_s: float
    """Limit for the falsifier's tests together, kept by the parent process."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A value that a falsifier recorded, kept on a pass as well."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    bound: str = "at_most"
    """`at_most` or `at_least`."""

    @property
    def margin(self) -> float | None:
        """Share of the limit that is left: 1 is untouched, 0 is on the limit, negative is beyond it."""
        if self.limit is None:
            return None
        room = self.limit - self.value if self.bound == "at_most" else self.value - self.limit
        return room / abs(self.limit) if self.limit else room

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        return self.value <= self.limit if self.bound == "at_most" else self.value >= self.limit


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    sha256: str
    size_bytes: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The parent's judgement over the records of one job."""

    job: Job
    result: Result
    reason: str
    """One line: why it is not PASS, or how many tests passed."""
    duration_s: float
    values: tuple[Measured, ...] = ()
    device: Mapping[str, object] = field(default_factory=dict)
    """What `pv.ran_on` recorded; empty if nothing was."""
    ran_target: str | None = None
    used_model: bool = False
    """Whether the test asked for `pv.model`."""
    attachments: tuple[Attachment, ...] = ()
    tests_begun: int = 0
    """Tests whose setup began; an ERROR before that says nothing about the claim."""
    tests_passed: int = 0
    detail: str = ""
    """The failure as pytest showed it, shortened, paths relative."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the child: python, and every distribution among numpy, numba, torch, triton that took part."""
    shadowed: tuple[str, ...] = ()
    """Files of the project, relative to its root, in whose place the child imported something installed."""
    modules: tuple[str, ...] = ()
    """Of large libraries, imported before its first test began, in that order."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How small a graded fault may be and still be seen."""

    smallest_caught: float | None
    """Relative size; None if no size was caught, or if size 0 was as well."""
    tried: tuple[tuple[float, ChallengeOutcome], ...]
    """Sizes in the order of the runs."""


@dataclass(frozen=True, slots=True)
class ChallengeRun:
    """One falsifier with one seeded fault."""

    fault: str
    outcome: ChallengeOutcome
    """At the size that the fault has without arguments."""
    reason: str
    duration_s: float
    sensitivity: Sensitivity | None = None
    """Where it was asked for and the fault has a size."""
