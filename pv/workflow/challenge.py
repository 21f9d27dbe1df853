"""`pv challenge`: does each falsifier see the faults that it says it sees, and which faults does nobody see?

A falsifier that does not pass without a fault is not challenged: whatever it does with one proves nothing. Nothing is
recorded here; what counts for a standing is challenged again by `pv discharge`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pv.challenge import challenge_jobs
from pv.challenge.catalogue import Fault, faults_of
from pv.evidence.imports import ImportClosure
from pv.evidence.redact import Redactor
from pv.process.pytest_options import project_ini
from pv.report.challenge import Row, Summary
from pv.run.child import RunEvent, run_jobs
from pv.schema.contract import Falsifier
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome, Result
from pv.workflow.discharge import Planned, graded, plan
from pv.workflow.select import Selected


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which faults to seed."""

    catalogue: tuple[str, ...] = ()
    """Modules whose faults somebody should catch."""
    everything: bool = False
    """Also faults of the catalogue that a falsifier does not declare."""
    max_undeclared: int = 0
    """Most pairs of that sort."""
    sensitivity: bool = True


@dataclass(slots=True)
class Watch:
    """Where progress goes."""

    expect: Callable[[int, str], None] = field(default=lambda _total, _what: None)
    step: Callable[[str], None] = field(default=lambda _label: None)


def challenge_all(
    root: Path, settings: Settings, selected: Sequence[Selected], targets: Sequence[str], wanted: Wanted, watch: Watch,
    *, workers: int | None = None,
) -> tuple[list[Row], Summary]:  # fmt: skip
    """Run the selected falsifiers without a fault, with a forced failure, and with each fault.

    Raises:
        UsageError: a catalogue is no module of the project.
    """
    began = datetime.now(UTC)
    closure = ImportClosure(root, project_ini(root).get("pythonpath", []))
    offered = faults_of(closure, wanted.catalogue)
    planned = plan(root, settings, selected, targets)
    runnable = [item for item in planned if not item.unbound]
    undeclared, possible = _undeclared(root, closure, runnable, offered, wanted)
    faults = {_key(item): [*_declared(item.falsifier), *undeclared.get(_key(item), ())] for item in runnable}
    pairs = sum(map(len, faults.values()))
    watch.expect(len(runnable) + pairs, f"{len(runnable)} falsifier runs, {pairs} challenges")

    redactor = Redactor(root)
    ran = _run(root, settings, runnable, watch, workers)
    outcomes = {key: redactor.outcome(outcome) for key, outcome in ran.items()}
    passed = [item for item in runnable if outcomes[_key(item)].result is Result.PASS]
    found = challenge_jobs(
        root,
        settings,
        [(item.job, faults[_key(item)]) for item in passed],
        workers=workers,
        on_challenge=lambda job, run: watch.step(f"{job.falsifier} {run.fault}"),
        graded=graded(passed) if wanted.sensitivity else (),
    )
    runs = {(job.falsifier, job.target): tuple(map(redactor.challenge, done)) for job, done in found}
    shown = {item.falsifier.id for item in planned}
    summary = Summary(
        targets=tuple(targets),
        catalogue=tuple(fault.reference for fault in offered),
        undeclared_possible=possible,
        elsewhere=tuple(falsifier.id for _, _, falsifier in selected if falsifier.id not in shown),
        duration_s=(datetime.now(UTC) - began).total_seconds(),
    )
    return [_row(item, outcomes, runs) for item in planned], summary


def _key(item: Planned) -> tuple[str, str]:
    return item.falsifier.id, item.job.target


def _declared(falsifier: Falsifier) -> tuple[str, ...]:
    return tuple(challenge.fault for challenge in falsifier.challenges)


def _undeclared(
    root: Path, closure: ImportClosure, planned: Sequence[Planned], offered: Sequence[Fault], wanted: Wanted
) -> tuple[dict[tuple[str, str], list[str]], int]:
    """Further faults for each falsifier, and how many there could be; each fault gets its turn before the limit."""
    if not wanted.everything:
        return {}, 0
    reached = {_key(item): _files(root, closure, item.falsifier) for item in planned}
    turns = sorted(
        (turn, column, _key(item), fault.reference)
        for column, fault in enumerate(offered)
        for turn, item in enumerate(
            item
            for item in planned
            if fault.reference not in _declared(item.falsifier) and fault.may_reach(reached[_key(item)])
        )
    )
    chosen: dict[tuple[str, str], list[str]] = {}
    for _, _, key, fault in turns[: wanted.max_undeclared]:
        chosen.setdefault(key, []).append(fault)
    return chosen, len(turns)


def _files(root: Path, closure: ImportClosure, falsifier: Falsifier) -> frozenset[Path]:
    subjects = [file for name in falsifier.subjects for file in closure.module(name)]
    return closure.of([root / falsifier.test.split("::", 1)[0], *subjects])


def _run(
    root: Path, settings: Settings, planned: Sequence[Planned], watch: Watch, workers: int | None
) -> dict[tuple[str, str], Outcome]:
    def on_event(event: RunEvent) -> None:
        if event.outcome is not None:
            watch.step(event.job.falsifier)

    jobs: list[Job] = [item.job for item in planned]
    done = run_jobs(root, settings, jobs, on_event=on_event, workers=workers or 1)
    return {(outcome.job.falsifier, outcome.job.target): outcome for outcome in done}


def _row(
    item: Planned,
    outcomes: Mapping[tuple[str, str], Outcome],
    runs: Mapping[tuple[str, str], tuple[ChallengeRun, ...]],
) -> Row:
    outcome = outcomes.get(_key(item))
    declared = _declared(item.falsifier)
    result, reason = (outcome.result, outcome.reason) if outcome else (Result.NOT_RUN, item.unbound)
    said = f"without any fault it is {result}, not PASS, so a failure would prove nothing"
    found = runs.get(_key(item)) or tuple(ChallengeRun(fault, ChallengeOutcome.BROKEN, said, 0.0) for fault in declared)
    return Row(
        id=item.falsifier.id,
        contract=item.contract.id,
        target=item.job.target,
        result=result,
        reason=reason,
        declared=declared,
        runs=found,
    )
