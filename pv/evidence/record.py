"""Build an evidence record from what a run gave; nothing about the machine but an allow-list."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pv import __version__
from pv.evidence.fingerprint import COMPONENTS, Fingerprint
from pv.evidence.strict import canonical
from pv.process.environment import threads
from pv.schema.contract import Contract
from pv.schema.evidence import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    AttachmentRecord,
    ChallengeRecord,
    DigestSet,
    Environment,
    Predicate,
    Statement,
    Subject,
    Value,
)
from pv.schema.run import ChallengeRun, Outcome
from pv.schema.verdict import Result

RECORDED_LIMIT_BYTES = 1 << 19
"""What one test may put into its record through `pv.record` and `pv.ran_on`."""
_HOST_SALT = b"pv-contracts host tag 1\0"


def host_tag() -> str:
    """A stable tag of this machine that does not give its name away to a reader."""
    return "host-" + hashlib.sha256(_HOST_SALT + socket.gethostname().encode("utf-8", "replace")).hexdigest()[:12]


def now() -> str:
    """UTC, RFC 3339, microseconds: records are ordered by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def environment(versions: Mapping[str, str]) -> Environment:
    return Environment(
        host=host_tag(),
        system=platform.system(),
        machine=platform.machine(),
        cpu_count=os.cpu_count() or 1,
        versions={"python": platform.python_version(), **versions},
        threads=threads(),
    )


def bounded(outcome: Outcome) -> Outcome:
    """The outcome, or an ERROR in its place if the test recorded more than a record may hold."""
    values = [[item.name, item.value, item.unit, item.limit, item.margin] for item in outcome.values]
    try:
        size_bytes = len(canonical([values, outcome.device]))
    except ValueError:
        # The fixture refuses such numbers; a process that forges its records may send them.
        problem = "recorded a number that is not finite"
    else:
        if size_bytes <= RECORDED_LIMIT_BYTES:
            return outcome
        problem = f"recorded {size_bytes} bytes of values and device, at most {RECORDED_LIMIT_BYTES} are kept"
    return replace(outcome, result=Result.ERROR, reason=problem, values=(), device={})


def statement(
    *,
    run: str,
    started: str,
    contract: Contract,
    outcome: Outcome,
    challenges: Sequence[ChallengeRun],
    fingerprint: Fingerprint,
) -> Statement:
    """The record of one falsifier on one target; the model is a subject only if the test asked for it."""
    files = {
        name: dict(fingerprint.files[name])
        for name in COMPONENTS
        if name in fingerprint.files and (name != "model" or outcome.used_model)
    }
    return Statement(
        _type=STATEMENT_TYPE,
        subject=tuple(Subject(name=name, digest=DigestSet(sha256=fingerprint.digest(name))) for name in files),
        predicateType=PREDICATE_TYPE,
        predicate=Predicate(
            run=run,
            started=started,
            duration_s=round(outcome.duration_s, 3),
            contract=contract.id,
            contract_version=contract.version,
            falsifier=outcome.job.falsifier,
            target=outcome.job.target,
            ran_target=outcome.ran_target,
            device=dict(outcome.device),
            result=outcome.result,
            reason=outcome.reason,
            tests=outcome.job.nodeids,
            tests_begun=outcome.tests_begun,
            tests_passed=outcome.tests_passed,
            values=tuple(
                Value(
                    name=item.name,
                    value=item.value,
                    unit=item.unit,
                    limit=item.limit,
                    bound="at_least" if item.bound == "at_least" else "at_most",
                    margin=item.margin,
                )
                for item in outcome.values
            ),
            challenges=tuple(
                ChallengeRecord(
                    fault=item.fault,
                    outcome=item.outcome,
                    reason=item.reason,
                    duration_s=round(item.duration_s, 3),
                    smallest_caught=None if item.sensitivity is None else item.sensitivity.smallest_caught,
                )
                for item in challenges
            ),
            attachments=tuple(
                AttachmentRecord(name=item.name, sha256=item.sha256, size_bytes=item.size_bytes)
                for item in outcome.attachments
            ),
            files=files,
            environment=environment(outcome.versions),
            pv_version=__version__,
        ),
    )
