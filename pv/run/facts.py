"""What the parent knows about one job, gathered from the records of a child."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pv.schema.run import Attachment, Measured


class Ending(StrEnum):
    """How the child ended, as far as one job is concerned."""

    SEALED = "sealed"
    """End record with this run's nonce, exit by itself, exit status as the reports demand."""
    UNSEALED = "unsealed"
    """Exit by itself without the end record, or in the midst of a test."""
    BAD_STATUS = "bad status"
    """The exit status contradicts the reports."""
    CRASHED = "crashed"
    """Ended by a signal that the parent did not send."""
    TIMED_OUT = "timed out"
    FORGED = "forged"
    """Records that this child cannot have sent, or another nonce."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One report of pytest about setup, call or teardown."""

    when: str
    outcome: str
    """passed, failed or skipped; plugins add others."""
    kind: str = "none"
    """What was raised, as reported: none, assertion, fail, skip, xfail, exit, error."""
    raw: str = "none"
    """The same, as the test itself raised it."""
    xfail: bool = False
    subtest: bool = False
    message: str = ""
    detail: str = ""


@dataclass(slots=True)
class NodeFacts:
    """One node id of a job; filled while records arrive."""

    nodeid: str
    collected: int = 0
    begun: int = 0
    ended: int = 0
    phases: list[Phase] = field(default_factory=list)
    values: list[Measured] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    device: Mapping[str, object] = field(default_factory=dict)
    ran_target: str | None = None
    used_model: bool = False
    modules: tuple[str, ...] = ()
    """Of large libraries, imported before it began, in that order."""
    problem: str = ""
    """Why its file could not be collected."""
    skipped_file: bool = False
    """Its file skipped itself while it was imported."""

    @property
    def is_finished(self) -> bool:
        return self.begun > 0 and self.begun == self.ended


@dataclass(frozen=True, slots=True)
class JobFacts:
    target: str
    ending: Ending
    note: str
    """What to say about the ending when it decides."""
    nodes: tuple[NodeFacts, ...]
    unplanned: tuple[str, ...] = ()
    """Node ids that ran without being in the plan."""
