"""The parent's picture of one child session: built record by record, asked for deadlines."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from pv.process.channel import ChannelError
from pv.run import limits
from pv.run.facts import NodeFacts, Phase
from pv.run.picture import Picture
from pv.schema.run import Attachment, Job, Measured

OnProgress = Callable[[str, Job, tuple[str, ...] | None], None]
"""Told `started` (a job's first test began) and `ran` (its last test ended), with `RunEvent.passed_with`."""


class Session(Picture):
    """Watcher of one child that runs `jobs`."""

    def __init__(self, jobs: Sequence[Job], nonce: str, on_progress: OnProgress | None = None) -> None:
        super().__init__(jobs)
        self._jobs_of: dict[str, list[int]] = {}
        for index, job in enumerate(jobs):
            for nodeid in dict.fromkeys(job.nodeids):
                self._jobs_of.setdefault(nodeid, []).append(index)
        self._unfinished: set[str] = set()
        """Planned tests that have not ended."""
        self._nonce = nonce
        self._on_progress = on_progress
        self._announced: set[tuple[str, int]] = set()
        self._now = time.monotonic()
        self._greeted = False
        self._modules: tuple[str, ...] = ()
        self._longest_s = max((job.timeout_s for job in jobs), default=0.0)
        self._wait(max(limits.START_LIMIT_S, self._longest_s))

    @property
    def deadline(self) -> float:
        return self._deadline

    def _wait(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._deadline = self._now + limit_s

    def _rest(self, limit_s: float) -> None:
        """Between tests; less than the limit where none is left."""
        self._wait(limit_s if self._unfinished else limits.EXIT_GRACE_S)

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
        self.exit_status = int(record["exitstatus"])
        self.versions = {str(name): str(version) for name, version in record["versions"].items()}
        self.shadowed = tuple(str(path) for path in record["shadowed"])
        self._wait(limits.EXIT_GRACE_S)

    def _on_fault(self, record: dict[str, Any]) -> None:
        self.fault_states.append(str(record["state"]))
        self.fault_message = str(record.get("message", self.fault_message))

    def _on_collect(self, record: dict[str, Any]) -> None:
        self.collecting = str(record["path"])
        self._wait(max(limits.IMPORT_LIMIT_S, self._longest_s))

    def _on_collected(self, record: dict[str, Any]) -> None:
        where, outcome = str(record["id"]), str(record["outcome"])
        if where == self.collecting:
            self.collecting = ""
        if outcome == "passed":
            return
        self.any_failed = self.any_failed or outcome == "failed"
        for node in self.nodes.values():
            if node.nodeid == where or node.nodeid.startswith((f"{where}::", f"{where}/")) or where in ("", "."):
                node.problem = str(record["message"])
                node.skipped_file = outcome == "skipped"

    def _on_plan(self, record: dict[str, Any]) -> None:
        for nodeid in record["ids"]:
            self._node(nodeid).collected += 1
            if nodeid in self.nodes:
                self._unfinished.add(nodeid)
        self.plan = tuple(record["ids"])
        self._rest(max(limits.IMPORT_LIMIT_S, self._longest_s))

    def _on_begin(self, record: dict[str, Any]) -> None:
        node = self._node(record["id"])
        node.begun += 1
        self._modules += tuple(str(name) for name in record["modules"])
        node.modules = self._modules
        self.running, self.running_since = node.nodeid, self._now
        concerned = self._jobs_of.get(node.nodeid, [])
        left = [self.jobs[index].timeout_s - self.spent_s[index] for index in concerned]
        self._wait(max(0.0, min(left, default=self._longest_s)))
        self._announce("started", concerned)

    def _on_end(self, record: dict[str, Any]) -> None:
        node = self._node(record["id"])
        node.ended += 1
        concerned = self._jobs_of.get(node.nodeid, [])
        for index in concerned:
            self.spent_s[index] += self._now - self.running_since
        self.running = ""
        self._unfinished.discard(node.nodeid)
        self._rest(self._longest_s)
        done = [index for index in concerned if all(self.nodes[nodeid].ended for nodeid in self.jobs[index].nodeids)]
        self._announce("ran", done)

    def _on_phase(self, record: dict[str, Any]) -> None:
        phase = Phase(
            when=str(record["when"]), outcome=str(record["outcome"]), kind=str(record["kind_of"]),
            raw=str(record["raw"]), xfail=bool(record["xfail"]), subtest=bool(record["subtest"]),
            message=str(record["message"]), detail=str(record["detail"]),
        )  # fmt: skip
        self.any_failed = self.any_failed or phase.outcome == "failed"
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
            self.unplanned.append(str(nodeid))
            node = NodeFacts(str(nodeid))
        return node

    def _announce(self, what: str, indexes: Sequence[int]) -> None:
        for index in indexes:
            if self._on_progress is not None and (what, index) not in self._announced:
                self._announced.add((what, index))
                job = self.jobs[index]
                is_passed = what == "ran" and not self.went_wrong(job)
                self._on_progress(what, job, self.modules_of(job) if is_passed else None)
