"""The parent's picture of one session that workers of pytest-xdist share: one picture for each, and all of them in one.

A worker's own records decide what its tests did, how far it is, and how long it may take; all of them together, and
the controller's exit status, decide whether the session is sealed:

    every worker sealed by itself, all with the same plan, every planned test begun and ended in exactly one of them,
    the controller gone by itself with the status that their reports demand

Anything less proves nothing. A worker that ended badly is to blame, with the test or the file it was in; where it was
in none, or pytest itself broke in it, no test is blamed, but those of that worker are suspect: see `pv.run.child`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence

from pv.process.supervise import Exit
from pv.process.team import TeamExit
from pv.run import limits
from pv.run.facts import Ending, NodeFacts
from pv.run.picture import Picture
from pv.run.session import OnProgress, Session
from pv.schema.run import Job

_INTERNAL_ERROR = 3
"""Of pytest's documented exit codes: a plugin raised, which may well be one that is there for xdist."""


class Member(Session):
    """Watcher of one worker; between its tests it waits for others, as long as they need."""

    idle_since = math.inf

    def _rest(self, limit_s: float) -> None:  # noqa: ARG002 - what a child of its own has here does not count
        self._deadline, self.idle_since = math.inf, self._now

    def _wait(self, limit_s: float) -> None:
        super()._wait(limit_s)
        self.idle_since = math.inf

    def begun(self) -> tuple[Job, ...]:
        """The jobs of which a test began here."""
        return tuple(job for job in self.jobs if any(self.nodes[nodeid].begun for nodeid in job.nodeids))


class Team:
    """Watcher of all workers."""

    def __init__(self, jobs: Sequence[Job], workers: int, on_progress: OnProgress) -> None:
        self.nonces = tuple(secrets.token_hex(16) for _ in range(workers))
        self.members = tuple(Member(jobs, nonce, on_progress) for nonce in self.nonces)
        self._jobs = tuple(jobs)
        self._longest_s = max((job.timeout_s for job in jobs), default=0.0)
        self._ended_at: dict[int, float] = {}

    # while it runs

    @property
    def deadline(self) -> float:
        running = [member for index, member in enumerate(self.members) if index not in self._ended_at]
        busy = [member.deadline for member in running if member.deadline < math.inf]
        if busy:
            return min(busy)
        since = max([*self._ended_at.values(), *(member.idle_since for member in running)])
        ended = {nodeid for member in self.members for nodeid, node in member.nodes.items() if node.ended}
        is_done = all(member.plan is not None and ended.issuperset(member.plan) for member in self.members)
        return since + (limits.EXIT_GRACE_S if is_done else max(limits.IMPORT_LIMIT_S, self._longest_s))

    def ended(self, index: int, end: Exit, now: float) -> bool:
        self._ended_at[index] = now
        return self.members[index].ending(end) is Ending.SEALED

    def is_ending(self, index: int) -> bool:
        return self.members[index].exit_status is not None

    # afterwards

    def guilty(self, end: TeamExit) -> list[tuple[Member, Exit]]:
        """The workers that ended badly by themselves, with the test or the file they were in."""
        pairs = zip(self.members, end.workers, strict=True)
        ended = [(member, exit_) for member, exit_ in pairs if exit_ is not None]
        return [(member, exit_) for member, exit_ in ended if member.ending(exit_) is not Ending.SEALED]

    def merged(self, end: TeamExit) -> Picture:
        """All workers in one; in the midst of nothing, and with an end record only if it may be sealed."""
        merged = Picture(self._jobs)
        merged.nodes = {nodeid: _merged([member.nodes[nodeid] for member in self.members]) for nodeid in merged.nodes}
        merged.unplanned = [nodeid for member in self.members for nodeid in member.unplanned]
        merged.fault_states = [state for member in self.members for state in member.fault_states]
        merged.fault_message = next((member.fault_message for member in self.members if member.fault_message), "")
        merged.versions = {name: version for member in self.members for name, version in member.versions.items()}
        merged.shadowed = tuple(sorted({path for member in self.members for path in member.shadowed}))
        merged.any_failed = any(member.any_failed for member in self.members)
        merged.spent_s = [math.fsum(spent) for spent in zip(*(member.spent_s for member in self.members), strict=True)]
        plans = {member.plan for member in self.members}
        merged.plan = next((plan for plan in plans if plan is not None), None)
        merged.limit_s = max(member.limit_s for member in self.members)
        if self._is_whole(end, merged):
            merged.exit_status = end.controller.code
        return merged

    def _is_whole(self, end: TeamExit, merged: Picture) -> bool:
        if None in end.workers or self.guilty(end) or any(member.plan != merged.plan for member in self.members):
            return False
        planned = [merged.nodes[nodeid] for nodeid in merged.plan or () if nodeid in merged.nodes]
        return all(node.collected == node.begun == node.ended == 1 for node in planned)


def is_internal(member: Member, end: Exit) -> bool:
    """Whether pytest itself broke in this worker, and not a test."""
    return _INTERNAL_ERROR in (end.code, member.exit_status)


def _merged(facts: Sequence[NodeFacts]) -> NodeFacts:
    """One test as all workers know it; every one of them collects it."""
    return NodeFacts(
        facts[0].nodeid,
        collected=max(node.collected for node in facts),
        begun=sum(node.begun for node in facts),
        ended=sum(node.ended for node in facts),
        phases=[phase for node in facts for phase in node.phases],
        values=[value for node in facts for value in node.values],
        attachments=[attachment for node in facts for attachment in node.attachments],
        device=next((node.device for node in facts if node.device), {}),
        ran_target=next((node.ran_target for node in facts if node.ran_target), None),
        used_model=any(node.used_model for node in facts),
        modules=next((node.modules for node in facts if node.modules), ()),
        problem=next((node.problem for node in facts if node.problem), ""),
        skipped_file=any(node.skipped_file for node in facts),
    )
