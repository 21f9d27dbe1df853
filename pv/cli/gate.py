"""`pv gate`: a release question, answered from evidence and today's files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    FULL = "full"
    JSON = "json"
    GITHUB = "github"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Id of a gate: contracts/gates/NAME.yaml.")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Where it is asked: cpu, cuda, ...; comma-separated; the gate's by default."),
    ] = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.FULL,
) -> None:
    """Answer a release question for each target, with reasons and the commands that would turn it to YES.

    Every standing is recomputed; a stored status has no say.

    Exit code 0: YES on every target asked about. 1: NO on one. 3: the gate requires nothing there.
    4: CANNOT DECIDE.
    """
    from datetime import UTC, datetime

    from pv.cli.discharge import targets_of
    from pv.config import load_settings
    from pv.errors import NothingToCheck
    from pv.report import gate as report
    from pv.schema.verdict import GateAnswer
    from pv.workflow.gate import answer, view

    root, settings = load_settings(Path.cwd())
    result = answer(root, settings, name, targets_of(target, ()), today=datetime.now(UTC).date())
    render = {Format.FULL: report.text, Format.JSON: report.as_json, Format.GITHUB: report.github}[output_format]
    sys.stdout.write(render(view(result)))
    if result.verdict.is_empty:
        raise NothingToCheck(f"gate '{name}' requires nothing that is there; nothing was decided")
    codes = {GateAnswer.YES: 0, GateAnswer.NO: 1, GateAnswer.CANNOT_DECIDE: 4}
    raise typer.Exit(codes[result.verdict.answer])
