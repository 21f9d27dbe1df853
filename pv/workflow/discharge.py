"""`pv discharge`: plan, run, challenge, record, stand, and write the block.

The order keeps promises: the intent is in the ledger before anything runs, inputs are fingerprinted before and
after, evidence is durable before a contract file mentions it, and the ledger knows a block before the file has it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pv.atomic import in_parallel
from pv.challenge import Challenges
from pv.errors import EvidenceError
from pv.evidence.blocks import block_digest
from pv.evidence.bytecode import remove_compiled
from pv.evidence.fingerprint import Fingerprint
from pv.evidence.ledger import Ledger
from pv.evidence.read import read_evidence
from pv.evidence.record import bounded, host_tag, now, statement
from pv.evidence.redact import Redactor
from pv.evidence.store import Store
from pv.run.child import RunEvent, run_jobs
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import Result
from pv.workflow.block import is_last, recomputed, write_blocks
from pv.workflow.discharged import DischargeReport, Entry
from pv.workflow.plan import Planned, graded, plan
from pv.workflow.select import Selected, contracts_of
from pv.workflow.standings import Standings, fingerprints, standings


@dataclass(slots=True)
class Watch:
    """Where progress goes; every hook may be replaced."""

    planned: Callable[[Sequence[Planned]], None] = field(default=lambda _plan: None)
    ran: Callable[[Outcome], None] = field(default=lambda _outcome: None)
    challenged: Callable[[Job, ChallengeRun], None] = field(default=lambda _job, _run: None)


def discharge(
    root: Path,
    settings: Settings,
    selected: Sequence[Selected],
    targets: Sequence[str],
    watch: Watch,
    *,
    sensitivity: bool = False,
    workers: int | None = None,
) -> DischargeReport:
    """Run the selected falsifiers on the targets and record what they show.

    Args:
        sensitivity: search the smallest size that is caught, for graded challenges; otherwise the fault's own size
            is the only one tried.
        workers: processes that run tests at a time, first without faults and then with them. Without it there are
            `settings.workers`: one runs the tests in the order of the plan, and the others challenge meanwhile those
            that have passed. 1 is for tests that a busy machine disturbs.
    Raises:
        EvidenceError: the store cannot be written; nothing was run.
        PvError: a contract file changed while the falsifiers ran.
    """
    began, today = time.monotonic(), datetime.now(UTC).date()
    store = Store(root / settings.evidence_dir)
    ledger = Ledger(store.folder, host_tag())
    planned = plan(root, settings, selected, targets)
    watch.planned(planned)
    runnable = [item for item in planned if not item.unbound]

    run, started = secrets.token_hex(8), now()
    read_evidence(store.folder)  # a damaged store is said before an hour of running, not after it
    # What is recorded is hashed now; what the cache remembers is good enough to see whether it changed meanwhile.
    before = _fingerprints(root, settings, runnable, strict=True)
    remove_compiled(
        root, {name for found in before.values() for part in ("test", "code") for name in found.files[part]}
    )
    with store.lock():
        store.sweep()
        ledger.append(
            "intent", run=run, time=started, planned=[[item.falsifier.id, item.job.target] for item in runnable]
        )
    redactor = Redactor(root)
    outcomes, challenged = _run(root, settings, runnable, watch, redactor, sensitivity, workers)
    challenges = {key: tuple(map(redactor.challenge, runs)) for key, runs in challenged.items()}
    after = _fingerprints(root, settings, runnable)

    for key, outcome in outcomes.items():
        outcomes[key] = _unless_elsewhere(_unless_changed(outcome, before[key], after[key]), before[key])
    keys = [(item.falsifier.id, item.job.target) for item in runnable]
    statements = [
        statement(
            run=run,
            started=started,
            contract=item.contract,
            outcome=outcomes[key],
            challenges=challenges.get(key, ()),
            fingerprint=before[key],
        )
        for key, item in zip(keys, runnable, strict=True)
    ]
    with store.lock():
        in_parallel(
            lambda attachment: store.attach(attachment.sha256, attachment.data),
            [attachment for key in keys for attachment in outcomes[key].attachments],
        )
        digests = dict(zip(keys, in_parallel(store.add, statements), strict=True))
        results = [
            (
                "result",
                {"falsifier": key[0], "target": key[1], "result": outcomes[key].result.value, "evidence": digests[key]},
            )
            for key in keys
        ]
        ledger.extend([*results, ("end", {"results": len(runnable)})], run=run, time=now())

    concerned = contracts_of(selected)
    # Under the lock, so that of two runs that end together the later one sees the evidence of both.
    with store.lock():
        judged = standings(root, settings, [contract for _, contract in concerned], today=today)
        _refuse_unreadable(judged, runnable)
        blocks = recomputed(root, concerned, judged.contracts)
        new = [block for block in blocks if not is_last(judged, block)]
        lines = [("block", {"contract": block.contract.id, "block": block_digest(block.wanted)}) for block in new]
        ledger.extend(lines, run=run, time=now())
        written = write_blocks(root, blocks)
    by_id = {item.falsifier: item for contract in judged.contracts for item in contract.falsifiers}
    shown = {item.falsifier.id for item in planned}
    return DischargeReport(
        run=run,
        entries=tuple(
            Entry(
                item,
                outcomes.get((item.falsifier.id, item.job.target)) or _not_run(item),
                challenges.get((item.falsifier.id, item.job.target), ()),
                by_id[item.falsifier.id],
                digests.get((item.falsifier.id, item.job.target)),
            )
            for item in planned
        ),
        contracts=judged.contracts,
        elsewhere=tuple((c, f, by_id[f.id]) for _, c, f in selected if f.id not in shown),
        written=tuple(written),
        duration_s=time.monotonic() - began,
    )


def _fingerprints(
    root: Path, settings: Settings, planned: Sequence[Planned], *, strict: bool = False
) -> dict[tuple[str, str], Fingerprint]:
    prints = fingerprints(root, settings, strict=strict)
    return {(item.falsifier.id, item.job.target): prints.of(item.contract, item.falsifier) for item in planned}


def _run(
    root: Path, settings: Settings, planned: Sequence[Planned], watch: Watch, redactor: Redactor, sensitivity: bool,
    workers: int | None,
) -> tuple[dict[tuple[str, str], Outcome], dict[tuple[str, str], list[ChallengeRun]]]:  # fmt: skip
    """Every job, one target after the other, and every declared fault for the falsifiers that passed: a failing one
    needs no proof that it can fail."""
    batch = [(item.job, tuple(challenge.fault for challenge in item.falsifier.challenges)) for item in planned]
    outcomes: dict[Job, Outcome] = {}
    with Challenges(
        root, settings, batch, workers=workers, beside=workers or 1, on_challenge=watch.challenged,
        graded=graded(planned) if sensitivity else (),
    ) as challenges:  # fmt: skip

        def on_event(event: RunEvent) -> None:
            if event.passed_with is not None:
                challenges.begin(event.job, event.passed_with)
            if event.outcome is not None:
                watch.ran(event.outcome)
            challenges.tell()

        for target in dict.fromkeys(job.target for job, _ in batch):
            jobs = [job for job, _ in batch if job.target == target]
            done = run_jobs(root, settings, jobs, on_event=on_event, workers=workers or 1)
            outcomes.update((outcome.job, bounded(redactor.outcome(outcome))) for outcome in done)
        passed = {job: outcomes[job].modules for job, _ in batch if outcomes[job].result is Result.PASS}
        found = challenges.of(passed)
    return (
        {(job.falsifier, job.target): outcome for job, outcome in outcomes.items()},
        {(job.falsifier, job.target): runs for job, runs in found},
    )


def _unless_changed(outcome: Outcome, before: Fingerprint, after: Fingerprint) -> Outcome:
    changed = after.changes(before.files)
    return _void(outcome, f"inputs changed while it ran: {'; '.join(changed)}; run it again") if changed else outcome


def _unless_elsewhere(outcome: Outcome, fingerprint: Fingerprint) -> Outcome:
    """What was hashed must be what ran, and not an installed copy of it."""
    elsewhere = [path for path in outcome.shadowed if any(path in part for part in fingerprint.files.values())]
    if not elsewhere:
        return outcome
    return _void(
        outcome,
        f"ran an installed copy instead of {', '.join(elsewhere)}; add its folder to pytest's setting 'pythonpath'",
    )


def _void(outcome: Outcome, reason: str) -> Outcome:
    return Outcome(
        job=outcome.job,
        result=Result.ERROR,
        reason=reason,
        duration_s=outcome.duration_s,
        values=outcome.values,
        used_model=outcome.used_model,
        versions=outcome.versions,
    )


def _refuse_unreadable(judged: Standings, ran: Sequence[Planned]) -> None:
    """What has just run could be read then; if it cannot be read now, no block is better than a wrong one."""
    for falsifier, reason in judged.unreadable_inputs:
        if any(item.falsifier.id == falsifier for item in ran):
            raise EvidenceError(f"{falsifier}: {reason}; its evidence is recorded, the discharge block is not written")


def _not_run(item: Planned) -> Outcome:
    return Outcome(job=item.job, result=Result.NOT_RUN, reason=item.unbound, duration_s=0.0)
