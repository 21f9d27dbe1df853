"""`pv discharge`: run falsifiers, challenge them, record evidence, write standings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pv.workflow.discharge import DischargeReport, Planned, Watch


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
        typer.Option("--target", help="Where to run: cpu, cuda, cuda-interpreted, cuda-compiled; repeatable."),
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="The model that falsifiers get.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; run and write nothing.")] = False,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.FULL,
) -> None:
    """Run the falsifiers, prove that they can fail, and record what they show.

    Exit code 0: every run on the targets asked for passed and caught its challenges.
    1: something is FALSIFIED. 4: something could not be decided.
    """
    from pv.config import load_settings
    from pv.errors import NothingToCheck
    from pv.report import discharge as report
    from pv.workflow.discharge import discharge, plan, rows, summary
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
    with _progress() as watch:
        result = discharge(root, settings, selected, targets, watch)
    shown, closing = rows(result), summary(result, targets)
    print(report.as_json(shown, closing) if output_format is Format.JSON else report.text(shown, closing))
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
            known = "cpu, cuda, cuda:sm_NN, cuda-interpreted, cuda-compiled"
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


@contextmanager
def _progress() -> Iterator[Watch]:
    """One live line on a terminal; in a log, one quiet line per ten runs."""
    from pv.workflow.discharge import Watch

    if sys.stderr.isatty() and not os.environ.get("CI"):
        yield from _live()
        return
    done = 0
    total = 0

    def planned(items: object) -> None:
        nonlocal total
        plan_items: list[Planned] = list(items)  # type: ignore[call-overload]
        total = sum(1 + len(item.falsifier.challenges) for item in plan_items)
        print(
            f"pv: {len(plan_items)} falsifier runs, {total - len(plan_items)} challenges", file=sys.stderr, flush=True
        )

    def step(*_: object) -> None:
        nonlocal done
        done += 1
        if done % 20 == 0 or done == total:
            print(f"pv: {done} of {total} done", file=sys.stderr, flush=True)

    yield Watch(planned=planned, ran=step, challenged=step)


def _live() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from pv.workflow.discharge import Watch

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("collecting", total=None)
        yield Watch(
            planned=lambda items: bar.update(
                task, total=sum(1 + len(item.falsifier.challenges) for item in items), description="running"
            ),
            ran=lambda outcome: bar.update(task, advance=1, description=outcome.job.falsifier),
            challenged=lambda job, run: bar.update(task, advance=1, description=f"{job.falsifier} {run.fault}"),
        )
