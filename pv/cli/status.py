"""`pv status`: where every contract stands, recomputed from evidence and today's files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    FULL = "full"
    CONCISE = "concise"
    JSON = "json"


def command(
    selectors: Annotated[
        list[str] | None,
        typer.Argument(metavar="SELECTORS", help="Contract ids, falsifier ids, globs or files; all by default."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Hash the model again, whatever is cached.")] = False,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to print.")] = Format.FULL,
) -> None:
    """Recompute every standing; a stored status has no say.

    Exit code 0: everything shown is DISCHARGED or WAIVED. 1: something is FALSIFIED. 4: anything else.
    """
    from datetime import UTC, datetime

    from pv.config import load_settings
    from pv.report import status as report
    from pv.schema.verdict import Standing
    from pv.workflow.select import contracts_of, readable_catalog, select
    from pv.workflow.standings import standings

    root, settings = load_settings(Path.cwd())
    contracts = [contract for _, contract in contracts_of(select(readable_catalog(root, settings), selectors or []))]
    found = standings(root, settings, contracts, today=datetime.now(UTC).date(), strict=strict)
    for problem in (*found.unreadable, *found.notes):
        print(f"pv: {problem}", file=sys.stderr)
    if output_format is Format.JSON:
        print(report.as_json(found.contracts, records=found.records))
    else:
        print(report.text(found.contracts, records=found.records, concise=output_format is Format.CONCISE))
    shown = {contract.standing for contract in found.contracts}
    if Standing.FALSIFIED in shown:
        raise typer.Exit(1)
    raise typer.Exit(0 if shown <= {Standing.DISCHARGED, Standing.WAIVED} else 4)
