"""`pv discharge`: plan, run, challenge, record, stand, and write the block.

The order keeps promises: the intent is in the ledger before anything runs, inputs are fingerprinted before and
after, evidence is durable before a contract file mentions it, and the ledger knows a block before the file has it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pv.atomic import in_parallel, remove_leftovers, write_atomically
from pv.bind.collect import collect
from pv.challenge import challenge_jobs
from pv.discharge.block import as_discharge, with_block
from pv.errors import EvidenceError, PvError
from pv.evidence.blocks import block_digest
from pv.evidence.bytecode import remove_compiled
from pv.evidence.fingerprint import Fingerprint
from pv.evidence.ledger import Ledger
from pv.evidence.read import read_evidence
from pv.evidence.record import bounded, host_tag, now, statement
from pv.evidence.redact import Redactor
from pv.evidence.store import Store
from pv.load import Loaded, load_text
from pv.report.discharge import Row, Summary
from pv.run.child import RunEvent, run_jobs
from pv.schema.binding import CollectedTest, Collection
from pv.schema.contract import Contract, Discharge, Falsifier
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.standing import ContractStanding, FalsifierStanding
from pv.schema.store import BlockOrigin
from pv.schema.verdict import Result, Standing, is_weaker, serves
from pv.workflow.select import Selected, contracts_of
from pv.workflow.standings import Standings, fingerprints, standings


@dataclass(frozen=True, slots=True)
class Planned:
    """One falsifier on one target, bound to what pytest collected."""

    loaded: Loaded
    contract: Contract
    falsifier: Falsifier
    job: Job
    unbound: str = ""
    """Why it cannot run; empty if it can."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one planned falsifier."""

    planned: Planned
    outcome: Outcome
    challenges: tuple[ChallengeRun, ...]
    standing: FalsifierStanding
    evidence: str | None
    """Digest of the record; None where nothing ran."""


@dataclass(frozen=True, slots=True)
class DischargeReport:
    run: str
    entries: tuple[Entry, ...]
    contracts: tuple[ContractStanding, ...]
    elsewhere: tuple[tuple[Contract, Falsifier, FalsifierStanding], ...]
    """Selected falsifiers that need none of the targets asked for."""
    written: tuple[str, ...]
    """Contract files whose block changed."""
    duration_s: float

    @property
    def refuted(self) -> int:
        shown = [entry.standing for entry in self.entries] + [item[2] for item in self.elsewhere]
        return sum(item.standing is Standing.FALSIFIED for item in shown)

    @property
    def undecided(self) -> int:
        """Runs on a target asked for that did not end in a PASS with every challenge caught."""
        return sum(not _proved(entry) for entry in self.entries)


@dataclass(slots=True)
class Watch:
    """Where progress goes; every hook may be replaced."""

    planned: Callable[[Sequence[Planned]], None] = field(default=lambda _plan: None)
    ran: Callable[[Outcome], None] = field(default=lambda _outcome: None)
    challenged: Callable[[Job, ChallengeRun], None] = field(default=lambda _job, _run: None)


def plan(root: Path, settings: Settings, selected: Sequence[Selected], targets: Sequence[str]) -> list[Planned]:
    """Bind every selected falsifier to the tests that pytest collects, for each target it can use."""
    files = list(dict.fromkeys(falsifier.test.split("::", 1)[0] for _, _, falsifier in selected))
    collection = collect(root, settings, files)
    named, redactor = collection.by_name(), Redactor(root)
    return [
        _bind(loaded, contract, falsifier, target, collection, named.get(falsifier.test, ()), redactor)
        for loaded, contract, falsifier in selected
        for target in targets
        if any(serves(target, required) or is_weaker_run(target, required) for required in falsifier.targets)
    ]


def is_weaker_run(target: str, required: str) -> bool:
    """A weaker target is worth running only where it executes the same kernels; `cpu` never stands in for `cuda`."""
    return target != "cpu" and is_weaker(target, required)


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
        workers: processes that run tests at a time; without it one for the tests, so that what they measure is not
            disturbed, and `settings.workers` for the challenges.
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
    ran = _run(root, settings, runnable, watch, workers)
    outcomes = {key: bounded(redactor.outcome(outcome)) for key, outcome in ran.items()}
    challenged = _challenge(root, settings, runnable, outcomes, watch, sensitivity, workers)
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
        blocks = _blocks(root, concerned, judged.contracts)
        new = [block for block in blocks if not _is_last(judged, block)]
        lines = [("block", {"contract": block.contract.id, "block": block_digest(block.wanted)}) for block in new]
        ledger.extend(lines, run=run, time=now())
        written = _write_blocks(root, blocks)
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


def rows(report: DischargeReport) -> list[Row]:
    """The report as it is shown: what ran first, then what needs other targets."""
    shown = [
        Row(
            id=entry.planned.falsifier.id,
            contract=entry.planned.contract.id,
            target=entry.planned.job.target,
            result=entry.outcome.result,
            reason=entry.outcome.reason,
            detail=entry.outcome.detail,
            if_fails=entry.planned.falsifier.if_fails,
            standing=entry.standing.standing,
            missing=entry.standing.missing,
            values=entry.outcome.values,
            challenges=entry.challenges,
            evidence=entry.evidence,
            duration_s=entry.outcome.duration_s,
        )
        for entry in report.entries
    ]
    others = [
        Row(
            id=falsifier.id,
            contract=contract.id,
            target=None,
            result=Result.NOT_RUN,
            reason=f"needs {', '.join(falsifier.targets)}",
            detail="",
            if_fails=falsifier.if_fails,
            standing=standing.standing,
            missing=standing.missing,
            values=(),
            challenges=(),
            evidence=None,
            duration_s=0.0,
        )
        for contract, falsifier, standing in report.elsewhere
    ]
    return shown + others


def summary(report: DischargeReport, targets: Sequence[str]) -> Summary:
    return Summary(
        run=report.run,
        contracts=tuple((item.contract, item.standing) for item in report.contracts),
        targets=tuple(targets),
        written=report.written,
        duration_s=report.duration_s,
    )


def _bind(
    loaded: Loaded,
    contract: Contract,
    falsifier: Falsifier,
    target: str,
    collection: Collection,
    tests: Sequence[CollectedTest],
    redactor: Redactor,
) -> Planned:
    unmarked = [test.nodeid for test in tests if falsifier.id not in test.falsifies]
    unbound = ""
    if not tests:
        path = falsifier.test.split("::", 1)[0]
        problem = next((item.message for item in collection.problems if item.path == path), "")
        unbound = f"{falsifier.test} is not collected by pytest" + (f": {problem}" if problem else "")
    elif unmarked:
        unbound = f'{unmarked[0]} does not carry @pytest.mark.falsifies("{falsifier.id}")'
    job = Job(
        falsifier=falsifier.id,
        contract=contract.id,
        nodeids=tuple(test.nodeid for test in tests),
        target=target,
        timeout_s=falsifier.timeout_s,
    )
    return Planned(loaded, contract, falsifier, job, redactor.text(unbound))


def _fingerprints(
    root: Path, settings: Settings, planned: Sequence[Planned], *, strict: bool = False
) -> dict[tuple[str, str], Fingerprint]:
    prints = fingerprints(root, settings, strict=strict)
    return {(item.falsifier.id, item.job.target): prints.of(item.contract, item.falsifier) for item in planned}


def graded(planned: Iterable[Planned]) -> frozenset[tuple[str, str]]:
    """Falsifier and fault of every challenge that has a size."""
    return frozenset(
        (item.falsifier.id, challenge.fault)
        for item in planned
        for challenge in item.falsifier.challenges
        if challenge.grade is not None
    )


def _run(
    root: Path, settings: Settings, planned: Sequence[Planned], watch: Watch, workers: int | None
) -> dict[tuple[str, str], Outcome]:
    """Every job; one target after the other."""

    def on_event(event: RunEvent) -> None:
        if event.outcome is not None:
            watch.ran(event.outcome)

    outcomes: dict[tuple[str, str], Outcome] = {}
    for target in dict.fromkeys(item.job.target for item in planned):
        jobs = [item.job for item in planned if item.job.target == target]
        for outcome in run_jobs(root, settings, jobs, on_event=on_event, workers=workers or 1):
            outcomes[outcome.job.falsifier, target] = outcome
    return outcomes


def _challenge(
    root: Path,
    settings: Settings,
    planned: Sequence[Planned],
    outcomes: Mapping[tuple[str, str], Outcome],
    watch: Watch,
    sensitivity: bool,
    workers: int | None,
) -> dict[tuple[str, str], tuple[ChallengeRun, ...]]:
    """Seed every declared fault, for the falsifiers that passed: a failing one needs no proof that it can fail."""
    batch = [
        (item.job, tuple(challenge.fault for challenge in item.falsifier.challenges))
        for item in planned
        if item.falsifier.challenges and outcomes[item.falsifier.id, item.job.target].result is Result.PASS
    ]
    found = challenge_jobs(
        root, settings, batch, workers=workers, on_challenge=watch.challenged,
        graded=graded(planned) if sensitivity else (),
        modules={job: outcomes[job.falsifier, job.target].modules for job, _ in batch},
    )  # fmt: skip
    return {(job.falsifier, job.target): tuple(runs) for job, runs in found}


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


def _proved(entry: Entry) -> bool:
    """Whether this run, together with the earlier attempts at the same inputs, shows all that it was asked for."""
    target = entry.planned.job.target
    supports = target in entry.standing.have
    lacks = any(line.startswith(f"{target}: ") for line in entry.standing.missing)
    faults = entry.planned.falsifier.challenges
    caught = {run.fault for run in entry.challenges if run.outcome.value == "CAUGHT"}
    return (
        supports
        and not lacks
        and entry.outcome.result is Result.PASS
        and bool(entry.outcome.values)
        and bool(faults)
        and all(challenge.fault in caught for challenge in faults)
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """The recomputed block of one contract file."""

    path: str
    contract: Contract
    wanted: Discharge
    text: bytes | None
    """The whole file with it; None if the file has it already."""


def _blocks(
    root: Path, contracts: Sequence[tuple[Loaded, Contract]], judged: Sequence[ContractStanding]
) -> list[_Block]:
    """The recomputed blocks, each proved by reading it back to change nothing else in its file.

    Raises:
        PvError: a file changed while its falsifiers ran, or its block cannot be replaced.
    """
    by_id = {item.contract: item for item in judged}

    def block(item: tuple[Loaded, Contract]) -> _Block:
        loaded, contract = item
        wanted = as_discharge(by_id[contract.id])
        return _Block(loaded.path, contract, wanted, _with_block(root / loaded.path, loaded.path, contract, wanted))

    return in_parallel(block, contracts)


def _with_block(path: Path, shown: str, contract: Contract, wanted: Discharge) -> bytes | None:
    try:
        text = path.read_bytes()
    except OSError as err:
        raise EvidenceError(f"{shown}: cannot be read: {err.strerror or err}") from err
    current = load_text(text, shown).contract
    if current is None or _claims(current) != _claims(contract):
        raise PvError(f"{shown}: changed while its falsifiers ran; its discharge block was not written")
    if current.discharge == wanted:
        return None
    new = with_block(text, wanted)
    reread = load_text(new, shown).contract
    if reread is None or reread.discharge != wanted or _claims(reread) != _claims(contract):
        raise PvError(
            f"{shown}: its discharge block cannot be replaced without touching the rest of the file; "
            "move `discharge:` to the end of the file, as an ordinary top-level key"
        )
    return new


def _is_last(judged: Standings, block: _Block) -> bool:
    return judged.blocks.origin(block.contract.id, block.wanted) is BlockOrigin.LAST


def _write_blocks(root: Path, blocks: Sequence[_Block]) -> list[str]:
    """Paths of the files that had another block."""
    for folder in {(root / block.path).parent for block in blocks}:
        remove_leftovers(folder)
    changed = [(block.path, block.text) for block in blocks if block.text is not None]
    in_parallel(lambda item: write_atomically(root / item[0], item[1]), changed)
    return [path for path, _ in changed]


def _claims(contract: Contract) -> Contract:
    return contract.model_copy(update={"discharge": None})
