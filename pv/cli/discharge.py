"""`pv discharge`: run falsifiers, challenge them, record evidence, write standings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pv.cli.progress import Progress
    from pv.workflow.discharge import Watch
    from pv.workflow.discharged import DischargeReport
    from pv.workflow.plan import Planned


class Format(StrEnum):
    FULL = "full"
    JSON = "json"


def command(
    selectors: Annotated[
        list[str] | None,
        typer.Argument(metavar="SELECTORS", help="Contract ids, falsifier ids, globs or files; all by default."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="Where to run: cpu, cuda, cuda-interpreted, cuda-compiled, cpu-oracle; repeatable."
        ),
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="The model that falsifiers get.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; run and write nothing.")] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Search the smallest size that is caught, for graded challenges.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-n",
            min=1,
            max=64,
            help="Processes that run tests at a time, through pytest-xdist on one host; no result depends on it. "
            "Seeded faults have a process each. By default the setting 'workers': 1 for the tests, and the others for "
            "faults of tests that have passed.",
        ),
    ] = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.FULL,
) -> None:
    """Run the falsifiers, prove that they can fail, and record what they show.

    Exit code 0: every run on the targets asked for passed and caught its challenges.
    1: something is FALSIFIED. 4: something could not be decided.
    """
    from pv.cli.progress import progress
    from pv.config import load_settings
    from pv.errors import NothingToCheck
    from pv.report import discharge as report
    from pv.workflow.discharge import discharge
    from pv.workflow.discharged import rows, summary
    from pv.workflow.plan import plan
    from pv.workflow.select import readable_catalog, select

    root, settings = load_settings(Path.cwd())
    if model is not None:
        settings = settings.model_copy(update={"model": os.path.relpath(model.absolute(), root)})
    targets = targets_of(target, settings.targets)
    catalog = readable_catalog(root, settings)
    selected = select(catalog, selectors or [])
    if dry_run:
        _print_plan(plan(root, settings, selected, targets))
        return
    with progress() as shown:
        result = discharge(root, settings, selected, targets, _watch(shown), sensitivity=sensitivity, workers=workers)
    lines, closing = rows(result), summary(result, targets)
    print(report.as_json(lines, closing) if output_format is Format.JSON else report.text(lines, closing))
    if not result.entries:
        raise NothingToCheck(f"none of {len(selected)} falsifiers runs on {', '.join(targets)}; nothing was run")
    raise typer.Exit(_exit_code(result))


def _exit_code(result: DischargeReport) -> int:
    if result.refuted:
        return 1
    return 4 if result.undecided else 0


def targets_of(asked: list[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    from pv.errors import UsageError
    from pv.schema.verdict import is_target

    names = [name.strip() for item in asked or [] for name in item.split(",")]
    for name in names:
        if not is_target(name):
            known = "cpu, cpu-oracle, cuda, cuda:sm_NN, cuda-interpreted, cuda-compiled"
            raise UsageError(f"--target {name!r} is not a target; expected one of {known}")
    return tuple(dict.fromkeys(names)) or default


def _print_plan(planned: list[Planned]) -> None:
    from pv.errors import CannotDecide

    for item in planned:
        faults = len(item.falsifier.challenges)
        what = item.unbound or f"{len(item.job.nodeids)} tests, {faults} challenges, limit {item.job.timeout_s:g} s"
        print(f"{item.falsifier.id}  {item.job.target}  {what}")
    unbound = sum(bool(item.unbound) for item in planned)
    contracts = len({item.contract.id for item in planned})
    print(f"{contracts} contracts, {len(planned)} runs planned: {len(planned) - unbound} bound, {unbound} not.")
    if unbound:
        raise CannotDecide(f"{unbound} of {len(planned)} runs have no test; see pv lint --strict-test-binding")


def _watch(shown: Progress) -> Watch:
    from pv.workflow.discharge import Watch

    def planned(items: Sequence[Planned]) -> None:
        challenges = sum(len(item.falsifier.challenges) for item in items)
        shown.expect(len(items) + challenges, f"{len(items)} falsifier runs, {challenges} challenges")

    return Watch(
        planned=planned,
        ran=lambda outcome: shown.step(outcome.job.falsifier),
        challenged=lambda job, run: shown.step(f"{job.falsifier} {run.fault}"),
    )
