"""`pv lint`: every rule, and every binding of a falsifier to a test."""

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
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict-test-binding/--no-strict-test-binding",
            envvar="PV_STRICT_TEST_BINDING",
            help="Report warnings about bindings as errors.",
            show_default=False,
        ),
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="RULES", help="Only these rules; comma-separated.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="RULES", help="All but these rules; comma-separated.")
    ] = None,
    output_format: Annotated[FindingFormat, typer.Option("--output-format", help="How to print.")] = FindingFormat.FULL,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to a file; - is stdout.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="End with 0 in spite of findings.")] = False,
) -> None:
    """Check contracts, their tests and their evidence.

    Tests are found by pytest's own collection; nothing is run.
    Exit code 0: no errors (there may be warnings). 1: errors. 2: usage. 3: nothing to check.
    """
    from pv.report import REPORTERS
    from pv.workflow.check import LINT, check, find_project

    root, settings = find_project(paths or [])
    report = check(
        root,
        settings,
        paths or [],
        stages=LINT,
        strict=settings.strict_test_binding if strict is None else strict,
        select=_names(select),
        ignore=_names(ignore),
    )
    shown = report.for_reporter()
    text = REPORTERS[output_format](shown)
    if output is None or str(output) == "-":
        sys.stdout.write(text)
    else:
        from pv.atomic import write_atomically

        write_atomically(output, text.encode("utf-8", "backslashreplace"))
        print(f"pv: {shown.summary}", file=sys.stderr)
    raise typer.Exit(1 if report.has_errors and not exit_zero else 0)


def _names(values: list[str] | None) -> list[str]:
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]
