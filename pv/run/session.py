"""The parent's picture of one child session: built record by record, asked for deadlines and for blame."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pv.process.channel import ChannelError
from pv.process.nodeid import split
from pv.process.supervise import Exit
from pv.run.facts import Ending, JobFacts, NodeFacts, Phase
from pv.run.outcomes import judge_node
from pv.schema.run import Attachment, Job, Measured
from pv.schema.verdict import Result

START_LIMIT_S = 60.0
"""Least limit from the start of the process to the first test file: Python, pytest and the project's conftests."""
IMPORT_LIMIT_S = 30.0
"""Least limit for the import of each test file; a falsifier's own limit is for its tests."""
EXIT_GRACE_S = 4.0
"""From the last test, or from the end record, to the end of the process."""


class Session:
    """Watcher of one child that runs `jobs`."""

    def __init__(self, jobs: Sequence[Job], nonce: str, on_progress: Callable[[str, Job], None] | None = None) -> None:
        self.jobs = tuple(jobs)
        self.nodes = {nodeid: NodeFacts(nodeid) for job in jobs for nodeid in job.nodeids}
        self.fault_states: list[str] = []
        self.fault_message = ""
        self.versions: Mapping[str, str] = {}
        self._places: dict[Job, int] = {}
        self._jobs_of: dict[str, list[int]] = {}
        for index, job in enumerate(jobs):
            self._places.setdefault(job, index)
            for nodeid in dict.fromkeys(job.nodeids):
                self._jobs_of.setdefault(nodeid, []).append(index)
        self._unfinished: set[str] = set()
        """Planned tests that have not ended."""
        self._nonce = nonce
        self._on_progress = on_progress
        self._announced: set[tuple[str, int]] = set()
        self._unplanned: list[str] = []
        self._now = time.monotonic()
        self._greeted = False
        self._exit_status: int | None = None
        self._planned = False
        self._any_failed = False
        self._collecting = ""
        self._running = ""
        self._running_since = 0.0
        self._used_s = dict.fromkeys(range(len(self.jobs)), 0.0)
        self._longest_s = max((job.timeout_s for job in jobs), default=0.0)
        self._wait(max(START_LIMIT_S, self._longest_s))

    @property
    def deadline(self) -> float:
        return self._deadline

    def _wait(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._deadline = self._now + limit_s

    # records

    def record(self, record: dict[str, Any], now: float) -> None:
        handler = getattr(self, f"_on_{record['kind']}", None)
        if handler is None or (not self._greeted and record["kind"] != "start"):
            raise ChannelError(f"unexpected record {record['kind'][:40]!r}")
        self._now = now
        try:
            handler(record)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise ChannelError(f"malformed record {record['kind'][:40]!r}: {err}") from err

    def _check_nonce(self, record: dict[str, Any]) -> None:
        if record["nonce"] != self._nonce:
            raise ChannelError("a record with another run's nonce")

    def _on_start(self, record: dict[str, Any]) -> None:
        self._check_nonce(record)
        self._greeted = True

    def _on_finish(self, record: dict[str, Any]) -> None:
        self._check_nonce(record)
        self._exit_status = int(record["exitstatus"])
        self.versions = {str(name): str(version) for name, version in record["versions"].items()}
        self._wait(EXIT_GRACE_S)

    def _on_fault(self, record: dict[str, Any]) -> None:
        self.fault_states.append(str(record["state"]))
        self.fault_message = str(record.get("message", self.fault_message))

    def _on_collect(self, record: dict[str, Any]) -> None:
        self._collecting = str(record["path"])
        self._wait(max(IMPORT_LIMIT_S, self._longest_s))

    def _on_collected(self, record: dict[str, Any]) -> None:
        where, outcome = str(record["id"]), str(record["outcome"])
        if where == self._collecting:
            self._collecting = ""
        if outcome == "passed":
            return
        self._any_failed = self._any_failed or outcome == "failed"
        for node in self.nodes.values():
            if node.nodeid == where or node.nodeid.startswith((f"{where}::", f"{where}/")) or where in ("", "."):
                node.problem = str(record["message"])
                node.skipped_file = outcome == "skipped"

    def _on_plan(self, record: dict[str, Any]) -> None:
        for nodeid in record["ids"]:
            self._node(nodeid).collected += 1
            if nodeid in self.nodes:
                self._unfinished.add(nodeid)
        self._planned = True
        self._wait(max(IMPORT_LIMIT_S, self._longest_s) if record["ids"] else EXIT_GRACE_S)

    def _on_begin(self, record: dict[str, Any]) -> None:
        node = self._node(record["id"])
        node.begun += 1
        self._running, self._running_since = node.nodeid, self._now
        concerned = self._jobs_of.get(node.nodeid, [])
        left = [self.jobs[index].timeout_s - self._used_s[index] for index in concerned]
        self._wait(max(0.0, min(left, default=self._longest_s)))
        self._announce("started", concerned)

    def _on_end(self, record: dict[str, Any]) -> None:
        node = self._node(record["id"])
        node.ended += 1
        concerned = self._jobs_of.get(node.nodeid, [])
        for index in concerned:
            self._used_s[index] += self._now - self._running_since
        self._running = ""
        self._unfinished.discard(node.nodeid)
        self._wait(self._longest_s if self._unfinished else EXIT_GRACE_S)
        done = [index for index in concerned if all(self.nodes[nodeid].ended for nodeid in self.jobs[index].nodeids)]
        self._announce("ran", done)

    def _on_phase(self, record: dict[str, Any]) -> None:
        phase = Phase(
            when=str(record["when"]), outcome=str(record["outcome"]), kind=str(record["kind_of"]),
            raw=str(record["raw"]), xfail=bool(record["xfail"]), subtest=bool(record["subtest"]),
            message=str(record["message"]), detail=str(record["detail"]),
        )  # fmt: skip
        self._any_failed = self._any_failed or phase.outcome == "failed"
        self._node(record["id"]).phases.append(phase)

    def _on_value(self, record: dict[str, Any]) -> None:
        limit = record["limit"]
        value = Measured(
            name=str(record["name"]), value=float(record["value"]), unit=str(record["unit"]),
            limit=None if limit is None else float(limit), bound=str(record["bound"]),
        )  # fmt: skip
        self._node(record["id"]).values.append(value)

    def _on_attach(self, record: dict[str, Any]) -> None:
        try:
            data = base64.b64decode(record["data"], validate=True)
        except binascii.Error as err:
            raise ChannelError(f"malformed attachment: {err}") from err
        attachment = Attachment(str(record["name"]), hashlib.sha256(data).hexdigest(), len(data), data)
        self._node(record["id"]).attachments.append(attachment)

    def _on_ran_on(self, record: dict[str, Any]) -> None:
        node = self._node(record["id"])
        node.device = dict(record["device"])
        node.ran_target = str(node.device["target"])

    def _on_model(self, record: dict[str, Any]) -> None:
        self._node(record["id"]).used_model = True

    def _node(self, nodeid: str) -> NodeFacts:
        node = self.nodes.get(nodeid)
        if node is None:
            self._unplanned.append(str(nodeid))
            node = NodeFacts(str(nodeid))
        return node

    def _announce(self, what: str, indexes: Sequence[int]) -> None:
        for index in indexes:
            if self._on_progress is not None and (what, index) not in self._announced:
                self._announced.add((what, index))
                self._on_progress(what, self.jobs[index])

    # conclusions

    def ending(self, end: Exit) -> Ending:
        """How this session ended."""
        if end.broken:
            return Ending.FORGED
        if end.timed_out:
            return Ending.TIMED_OUT
        if end.signal_name:
            return Ending.CRASHED
        if self._exit_status is None or self._running:
            return Ending.UNSEALED
        if not end.code == self._exit_status == self._expected_status():
            return Ending.BAD_STATUS
        return Ending.SEALED

    def _expected_status(self) -> int:
        """pytest's documented exit codes: 0 all passed, 1 some failed, 5 none collected."""
        if self._any_failed:
            return 1
        return 0 if any(node.collected for node in self.nodes.values()) else 5

    def culprits(self) -> tuple[Job, ...]:
        """The jobs in whose test or file the session stopped; empty if that was in none of them."""
        if self._running:
            return tuple(job for job in self.jobs if self._running in job.nodeids)
        if self._collecting:
            return tuple(job for job in self.jobs if any(split(i)[0] == self._collecting for i in job.nodeids))
        return ()

    @property
    def has_plan(self) -> bool:
        return self._planned

    def note(self, ending: Ending, end: Exit, job: Job) -> str:
        """One line on the ending for `job`; nothing that the process printed, because reasons are kept."""
        where = self._running or (f"the import of {self._collecting}" if self._collecting else "")
        if not where:
            where = "the end of the session" if self._planned else "start-up"
        match ending:
            case Ending.SEALED:
                return ""
            case Ending.FORGED:
                return f"its records cannot be trusted: {end.broken}"
            case Ending.TIMED_OUT if self._planned and not self._running:
                return f"the process did not end within {EXIT_GRACE_S:g} s after the last test"
            case Ending.TIMED_OUT:
                limit_s = job.timeout_s if self._running else self._limit_s
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
        return JobFacts(job.target, ending, note, nodes, tuple(self._unplanned))

    def used_s(self, job: Job) -> float:
        """Time inside the job's tests, the unfinished one included."""
        running_s = time.monotonic() - self._running_since if self._running in job.nodeids else 0.0
        return self._used_s[self._places[job]] + running_s

    def went_wrong(self, job: Job) -> bool:
        """Whether a finished test of the job, or its file, is already more than undecided."""
        nodes = [self.nodes[nodeid] for nodeid in job.nodeids]
        return any(judge_node(node).result is not Result.PASS for node in nodes if node.is_finished or node.problem)
