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
from pv.challenge.catalogue import faults_of
from pv.challenge.search import Search, search
from pv.evidence.bytecode import remove_compiled
from pv.evidence.imports import ImportClosure
from pv.evidence.redact import Redactor
from pv.process.pytest_options import project_ini
from pv.report.challenge import Row, Summary
from pv.run.child import RunEvent, run_jobs
from pv.schema.contract import Falsifier
from pv.schema.fault import Fault
from pv.schema.run import ChallengeRun, Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import ChallengeOutcome, Result
from pv.workflow.plan import Planned, graded, plan
from pv.workflow.select import Selected

Outcomes = Mapping[tuple[str, str], Outcome]
"""By falsifier and target."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which faults to seed."""

    catalogue: tuple[str, ...] = ()
    """Modules whose faults somebody should catch."""
    everything: bool = False
    """Also who catches those faults of the catalogue that nobody declares and catches."""
    matrix: bool = False
    """And every other falsifier that could meet one."""
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
    pairs = sum(len(item.falsifier.challenges) for item in runnable)
    watch.expect(len(runnable) + pairs, f"{len(runnable)} falsifier runs, {pairs} challenges")
    _remove_compiled(root, closure, runnable)

    redactor = Redactor(root)
    ran = _run(root, settings, runnable, watch, workers)
    outcomes = {key: redactor.outcome(outcome) for key, outcome in ran.items()}
    passed = [item for item in runnable if outcomes[_key(item)].result is Result.PASS]
    found = challenge_jobs(
        root,
        settings,
        [(item.job, _declared(item.falsifier)) for item in passed],
        workers=workers,
        on_challenge=lambda job, run: watch.step(f"{job.falsifier} {run.fault}"),
        graded=graded(passed) if wanted.sensitivity else (),
        modules={item.job: outcomes[_key(item)].modules for item in passed},
    )
    runs = {(job.falsifier, job.target): list(done) for job, done in found}
    if wanted.everything:
        caught = {run.fault for done in runs.values() for run in done if run.outcome is ChallengeOutcome.CAUGHT}
        sought = offered if wanted.matrix else [fault for fault in offered if fault.reference not in caught]
        asked = _who_could(root, closure, sought, passed, outcomes)
        watch.expect(len(runnable) + pairs + len(asked), f"and who catches {len(asked)} further faults")
        how = Search(root, settings, workers or settings.workers, wanted.matrix, watch.step)
        for job, run in search(how, asked):
            runs.setdefault((job.falsifier, job.target), []).append(run)
    shown = {item.falsifier.id for item in planned}
    summary = Summary(
        targets=tuple(targets),
        catalogue=tuple(offered),
        elsewhere=tuple(falsifier.id for _, _, falsifier in selected if falsifier.id not in shown),
        duration_s=(datetime.now(UTC) - began).total_seconds(),
        by_class=wanted.everything and not wanted.matrix,
    )
    shown_runs = {key: tuple(map(redactor.challenge, done)) for key, done in runs.items()}
    return [_row(item, outcomes, shown_runs) for item in planned], summary


def _key(item: Planned) -> tuple[str, str]:
    return item.falsifier.id, item.job.target


def _declared(falsifier: Falsifier) -> tuple[str, ...]:
    return tuple(challenge.fault for challenge in falsifier.challenges)


def _who_could(
    root: Path, closure: ImportClosure, faults: Sequence[Fault], passed: Sequence[Planned], outcomes: Outcomes
) -> dict[str, list[Outcome]]:
    """For each fault, those that passed, could meet it and do not declare it."""
    reached = {_key(item): _files(root, closure, item.falsifier) for item in passed}
    return {
        fault.reference: [
            outcomes[_key(item)]
            for item in passed
            if fault.may_reach(reached[_key(item)]) and fault.reference not in _declared(item.falsifier)
        ]
        for fault in faults
    }


def _remove_compiled(root: Path, closure: ImportClosure, planned: Sequence[Planned]) -> None:
    """What runs is the source: of the tests, of what they import, and of the faults."""
    faults = {fault.partition(":")[0] for item in planned for fault in _declared(item.falsifier)}
    files = {file for item in planned for file in _files(root, closure, item.falsifier)}
    files |= closure.of(file for name in faults for file in closure.module(name))
    remove_compiled(root, {file.relative_to(root).as_posix() for file in files if file.is_relative_to(root)})


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
    outcomes: Outcomes,
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
