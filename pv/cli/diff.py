"""`pv diff`: what changed between two versions of contracts, and whether their versions say so."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    FULL = "full"
    JSON = "json"


def command(
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="A file, a folder, REF:PATH, or REF for the project's contract folders."),
    ],
    new: Annotated[
        str | None, typer.Argument(metavar="[NEW]", help="Likewise; the contract folders as they are by default.")
    ] = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.FULL,
) -> None:
    """Classify changes: breaking, loosened, tightened, editorial.

    Breaking and loosened ones need a major version, tightened ones a minor one, editorial ones a patch.

    Exit code 0: every version rose far enough. 1: one did not, or a contract is gone. 2: usage. 3: nothing to compare.
    """
    from pv.config import load_settings
    from pv.report import diff as report
    from pv.workflow.diff import diff, view

    root, settings = load_settings(Path.cwd())
    found = diff(root, settings, old, new)
    shown = view(found)
    sys.stdout.write(report.as_json(shown) if output_format is Format.JSON else report.text(shown))
    raise typer.Exit(0 if found.is_enough else 1)
