"""`pv validate`: contract files against the format and each other; no test is looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pv.cli.options import FindingFormat


def command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATHS", help="Contract files or folders; the project's by default."),
    ] = None,
    output_format: Annotated[FindingFormat, typer.Option("--output-format", help="How to print.")] = FindingFormat.FULL,
) -> None:
    """Check contract files against the format and each other.

    Imports no test and runs nothing. With PATHS, the rest of the project is read as well, so that references resolve,
    but only what concerns PATHS is reported.

    Exit code 0: no errors (there may be warnings). 1: errors. 2: usage. 3: nothing to check.
    """
    from pv.report import REPORTERS
    from pv.workflow.check import VALIDATE, check, find_project

    root, settings = find_project(paths or [])
    report = check(root, settings, paths or [], stages=VALIDATE)
    sys.stdout.write(REPORTERS[output_format](report.for_reporter()))
    raise typer.Exit(1 if report.has_errors else 0)
