"""What is known about one session, whoever reported it: asked for its ending and for blame."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from pv.process.nodeid import split
from pv.process.supervise import Exit
from pv.run import limits
from pv.run.facts import Ending, JobFacts, NodeFacts
from pv.run.outcomes import judge_node
from pv.schema.run import Job
from pv.schema.verdict import Result


class Picture:
    """A session that runs `jobs`."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)
        self._places: dict[Job, int] = {}
        for index, job in enumerate(jobs):
            self._places.setdefault(job, index)
        self.nodes = {nodeid: NodeFacts(nodeid) for job in jobs for nodeid in job.nodeids}
        self.unplanned: list[str] = []
        self.fault_states: list[str] = []
        self.fault_message = ""
        self.versions: Mapping[str, str] = {}
        self.shadowed: tuple[str, ...] = ()
        """Files of the project that were not imported, because an installed module has their name."""
        self.plan: tuple[str, ...] | None = None
        """The tests that it is going to run; None before they are collected."""
        self.any_failed = False
        self.collecting = ""
        """The file that is being imported."""
        self.running = ""
        self.running_since = 0.0
        self.limit_s = 0.0
        """Of what is being waited for."""
        self.exit_status: int | None = None
        """As the end record has it."""
        self.spent_s = [0.0] * len(self.jobs)
        """Inside finished tests, for each job."""

    def ending(self, end: Exit) -> Ending:
        """How this session ended."""
        if end.broken:
            return Ending.FORGED
        if end.timed_out:
            return Ending.TIMED_OUT
        if end.signal_name:
            return Ending.CRASHED
        if self.exit_status is None or self.running:
            return Ending.UNSEALED
        if not end.code == self.exit_status == self._expected_status():
            return Ending.BAD_STATUS
        return Ending.SEALED

    def _expected_status(self) -> int:
        """pytest's documented exit codes: 0 all passed, 1 some failed, 5 none collected."""
        if self.any_failed:
            return 1
        return 0 if any(node.collected for node in self.nodes.values()) else 5

    def culprits(self) -> tuple[Job, ...]:
        """The jobs in whose test or file the session stopped; empty if that was in none of them."""
        if self.running:
            return tuple(job for job in self.jobs if self.running in job.nodeids)
        if self.collecting:
            return tuple(job for job in self.jobs if any(split(i)[0] == self.collecting for i in job.nodeids))
        return ()

    @property
    def has_plan(self) -> bool:
        return self.plan is not None

    def note(self, ending: Ending, end: Exit, job: Job) -> str:
        """One line on the ending for `job`; nothing that the process printed, because reasons are kept."""
        where = self.running or (f"the import of {self.collecting}" if self.collecting else "")
        if not where:
            where = "the end of the session" if self.has_plan else "start-up"
        match ending:
            case Ending.SEALED:
                return ""
            case Ending.FORGED:
                return f"its records cannot be trusted: {end.broken}"
            case Ending.TIMED_OUT if self.has_plan and not self.running:
                return f"the process did not end within {limits.EXIT_GRACE_S:g} s after the last test"
            case Ending.TIMED_OUT:
                limit_s = job.timeout_s if self.running else self.limit_s
                return f"more than {limit_s:g} s in {where}"
            case Ending.CRASHED:
                return f"{end.signal_name} in {where}"
            case Ending.UNSEALED:
                return f"the process exited with status {end.code} in {where}"
            case Ending.BAD_STATUS:
                demanded = f"its reports demand {self._expected_status()}"
                return f"pytest exited with status {end.code} in {where}, {demanded}"

    def facts(self, job: Job, ending: Ending, note: str) -> JobFacts:
        nodes = tuple(self.nodes[nodeid] for nodeid in job.nodeids)
        return JobFacts(job.target, ending, note, nodes, tuple(self.unplanned))

    def used_s(self, job: Job) -> float:
        """Time inside the job's tests, the unfinished one included."""
        running_s = time.monotonic() - self.running_since if self.running in job.nodeids else 0.0
        return self.spent_s[self._places[job]] + running_s

    def modules_of(self, job: Job) -> tuple[str, ...]:
        """What the first of its tests had, the others had as well."""
        return min((self.nodes[nodeid].modules for nodeid in job.nodeids), key=len, default=())

    def went_wrong(self, job: Job) -> bool:
        """Whether a finished test of the job, or its file, is already more than undecided."""
        nodes = [self.nodes[nodeid] for nodeid in job.nodeids]
        return any(judge_node(node).result is not Result.PASS for node in nodes if node.is_finished or node.problem)
