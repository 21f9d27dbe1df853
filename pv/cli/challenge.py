"""`pv challenge`: seed faults, and see which falsifier notices."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    FULL = "full"
    JSON = "json"


def command(
    selectors: Annotated[
        list[str] | None,
        typer.Argument(metavar="SELECTORS", help="Contract ids, falsifier ids, globs or files; all by default."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also faults of the catalogue that a falsifier could meet, undeclared ones.")
    ] = False,
    catalogue: Annotated[
        list[str] | None,
        typer.Option("--catalogue", metavar="MODULE", help="Faults somebody should catch; [tool.pv] faults without."),
    ] = None,
    max_undeclared: Annotated[
        int, typer.Option("--max-undeclared", min=0, help="Most undeclared pairs that --all runs.")
    ] = 200,
    sensitivity: Annotated[
        bool, typer.Option(help="Search the smallest size that is caught, for challenges with a grade.")
    ] = True,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="Where to run: cpu, cuda, cuda-interpreted, cuda-compiled, cpu-oracle; repeatable."
        ),
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="The model that falsifiers get.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-n",
            min=1,
            max=64,
            help="Processes that run tests at a time: the tests themselves through pytest-xdist, each seeded fault in "
            "a process of its own. By default 1 and the setting 'workers'.",
        ),
    ] = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.FULL,
) -> None:
    """Prove that falsifiers can fail: each once more for every fault, in a process of its own.

    Records nothing; pv discharge seeds the declared faults again and keeps what it sees.

    Exit code 0: every declared fault was caught. 1: one survived.
    4: a run broke, a fault was never reached, or a falsifier declares none.
    """
    from pv.cli.discharge import targets_of
    from pv.cli.progress import progress
    from pv.config import load_settings
    from pv.errors import NothingToCheck, UsageError
    from pv.report import challenge as report
    from pv.workflow.challenge import Wanted, Watch, challenge_all
    from pv.workflow.select import readable_catalog, select

    root, settings = load_settings(Path.cwd())
    if model is not None:
        settings = settings.model_copy(update={"model": os.path.relpath(model.absolute(), root)})
    targets = targets_of(target, settings.targets)
    modules = tuple(catalogue or settings.faults)
    if everything and not modules:
        raise UsageError("--all needs a catalogue of faults; give --catalogue MODULE or set faults in [tool.pv]")
    selected = select(readable_catalog(root, settings), selectors or [])
    wanted = Wanted(modules, everything, max_undeclared, sensitivity)
    with progress() as shown:
        rows, summary = challenge_all(
            root, settings, selected, targets, wanted, Watch(shown.expect, shown.step), workers=workers
        )
    print(report.as_json(rows, summary) if output_format is Format.JSON else report.text(rows, summary))
    if not rows:
        raise NothingToCheck(f"none of {len(selected)} falsifiers runs on {', '.join(targets)}; nothing was run")
    raise typer.Exit(report.exit_code(rows))
