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
    MARKDOWN = "markdown"


def command(
    selectors: Annotated[
        list[str] | None,
        typer.Argument(metavar="SELECTORS", help="Contract ids, falsifier ids, globs or files; all by default."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also who catches each fault of the catalogue; listed by class, with the first."),
    ] = False,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="With --all: every falsifier that could meet a fault, not only the first.")
    ] = False,
    at_least: Annotated[
        float | None,
        typer.Option(
            "--at-least",
            metavar="PERCENT",
            min=0,
            max=100,
            help="With --all: exit 1 if less of the catalogue is caught, or if an uncaught fault does not say why.",
        ),
    ] = None,
    catalogue: Annotated[
        list[str] | None,
        typer.Option("--catalogue", metavar="MODULE", help="Faults somebody should catch; [tool.pv] faults without."),
    ] = None,
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
    4: a run broke, a fault was never reached, or a falsifier declares none. With --at-least see there.
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
    if not everything and (matrix or at_least is not None):
        raise UsageError("--matrix and --at-least are about the whole catalogue; give --all as well")
    if everything and not modules:
        raise UsageError("--all needs a catalogue of faults; give --catalogue MODULE or set faults in [tool.pv]")
    selected = select(readable_catalog(root, settings), selectors or [])
    wanted = Wanted(modules, everything, matrix, sensitivity)
    with progress() as shown:
        rows, summary = challenge_all(
            root, settings, selected, targets, wanted, Watch(shown.expect, shown.step), workers=workers
        )
    show = {Format.JSON: report.as_json, Format.FULL: report.text, Format.MARKDOWN: report.markdown}
    print(show[output_format](rows, summary))
    if not rows:
        raise NothingToCheck(f"none of {len(selected)} falsifiers runs on {', '.join(targets)}; nothing was run")
    raise typer.Exit(report.exit_code(rows, summary, at_least=at_least))
