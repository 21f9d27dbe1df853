"""`pv lint`: every rule, and every binding of a falsifier to a test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pv.cli.options import FindingFormat

if TYPE_CHECKING:
    from pv.lint.engine import Outcome
    from pv.lint.known import Baseline


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
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REF", help="Demand higher versions of what changed since a commit."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Findings that are known and not shown.")
    ] = None,
    baseline_update: Annotated[
        bool, typer.Option("--baseline-update", help="Add what was found to the baseline.")
    ] = False,
    baseline_prune: Annotated[
        bool, typer.Option("--baseline-prune", help="Remove from the baseline what is not found any more.")
    ] = False,
    output_format: Annotated[FindingFormat, typer.Option("--output-format", help="How to print.")] = FindingFormat.FULL,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to a file; - is stdout.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="End with 0 in spite of findings.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write .pv-cache.")] = False,
) -> None:
    """Check contracts, their tests and their evidence.

    Tests are found by pytest's own collection; nothing is run.
    Exit code 0: no errors (there may be warnings). 1: errors. 2: usage. 3: nothing to check.
    """
    from pv.report import REPORTERS
    from pv.workflow.check import LINT, check, find_project

    root, settings = find_project(paths or [])
    known = _baseline(root, baseline, partial=bool(paths or select), changing=baseline_update or baseline_prune)
    report = check(
        root,
        settings,
        paths or [],
        stages=LINT,
        strict=settings.strict_test_binding if strict is None else strict,
        select=_names(select),
        ignore=_names(ignore),
        baseline=known,
        since=since,
        cached=not no_cache,
    )
    shown = report.for_reporter()
    text = REPORTERS[output_format](shown)
    if output is None or str(output) == "-":
        sys.stdout.write(text)
    else:
        from pv.atomic import write_atomically

        write_atomically(output, text.encode("utf-8", "backslashreplace"))
        print(f"pv: {shown.summary}", file=sys.stderr)
    if baseline is not None and known is not None and (baseline_update or baseline_prune):
        _change(baseline, known, report.outcome, update=baseline_update, prune=baseline_prune)
    failed = report.has_lasting_errors if baseline_update else report.has_errors
    raise typer.Exit(1 if failed and not exit_zero else 0)


def _baseline(root: Path, path: Path | None, *, partial: bool, changing: bool) -> Baseline | None:
    from pv.errors import UsageError
    from pv.workflow.baseline import read_baseline

    if path is None:
        if changing:
            raise UsageError("--baseline-update and --baseline-prune need --baseline FILE")
        return None
    if partial:
        if changing:
            raise UsageError("a baseline is changed for the whole project: leave out PATHS and --select")
        print(f"pv: {path} is ignored: only a part of the project is checked", file=sys.stderr)
        return None
    return read_baseline(root, path, may_be_missing=changing)


def _change(path: Path, known: Baseline, outcome: Outcome, *, update: bool, prune: bool) -> None:
    from datetime import UTC, datetime

    from pv.workflow.baseline import pruned, updated, write_baseline

    today = datetime.now(UTC).date()
    added = gone = 0
    changed = known
    if prune:
        changed, gone = pruned(changed, outcome, today)
    if update:
        changed, added = updated(changed, outcome, today)
    if added or gone or not path.exists():
        write_baseline(path, changed)
    total = sum(entry.count for entry in changed.entries)
    print(f"pv: {path}: {added} added, {gone} removed, {total} known now", file=sys.stderr)


def _names(values: list[str] | None) -> list[str]:
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]
