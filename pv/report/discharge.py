"""What a discharge run showed, as text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pv.report.challenge import run_json, sensitivity
from pv.report.escape import visible
from pv.schema.run import ChallengeRun, Measured
from pv.schema.verdict import ChallengeOutcome, Result, Standing

SCHEMA = "pv.discharge/1"

_LARGEST_MARGIN = 10.0
_LARGEST_INTEGER = 1e15


@dataclass(frozen=True, slots=True)
class Row:
    """One falsifier on one target."""

    id: str
    contract: str
    target: str | None
    """None: it needs none of the targets that were asked for."""
    result: Result
    reason: str
    detail: str
    """The failure as pytest showed it; empty after a pass."""
    if_fails: str
    standing: Standing
    missing: tuple[str, ...]
    values: tuple[Measured, ...]
    challenges: tuple[ChallengeRun, ...]
    evidence: str | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    run: str
    contracts: tuple[tuple[str, Standing], ...]
    targets: tuple[str, ...]
    written: tuple[str, ...]
    duration_s: float


def text(rows: Sequence[Row], summary: Summary) -> str:
    """Rows by contract, what is missing under each, and a last line with every denominator."""
    standings = dict(summary.contracts)
    lines: list[str] = []
    for contract in dict.fromkeys(row.contract for row in rows):
        lines.append(f"{contract}  {standings[contract].value}")
        for row in (row for row in rows if row.contract == contract):
            lines.extend(_row_lines(row))
        lines.append("")
    lines.extend(_closing(rows, summary))
    return "\n".join(lines)


def as_json(rows: Sequence[Row], summary: Summary) -> str:
    document = {
        "schema": SCHEMA,
        "run": summary.run,
        "falsifiers": [_row_json(row) for row in rows],
        "contracts": [{"id": name, "standing": standing.value} for name, standing in summary.contracts],
        "totals": _totals(rows, summary),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def measured(value: Measured) -> str:
    """`max_abs_error 3.1e-07 <= 1e-06 (margin 69 %)`; a unit of `1` is a pure ratio and stays unsaid."""
    unit = "" if value.unit == "1" else f" {value.unit}"
    shown = f"{value.name} {_number(value.value)}{unit}"
    if value.limit is None or value.margin is None:
        return shown
    shown += f" {'<=' if value.bound == 'at_most' else '>='} {_number(value.limit)}"
    # A share of nothing says nothing, and a score ten times over its floor needs no percentage.
    if value.limit == 0 or value.margin > _LARGEST_MARGIN:
        return shown
    return f"{shown} (margin {100 * value.margin:.0f} %)"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_INTEGER else f"{value:.4g}"


def _row_lines(row: Row) -> list[str]:
    indent = " " * 14
    caught = sum(run.outcome is ChallengeOutcome.CAUGHT for run in row.challenges)
    head = f"  {row.standing.value:<12}{row.id}"
    if row.target is not None:
        head += f"  {row.target} {row.result.value}"
    if row.challenges:
        head += f"  {caught}/{len(row.challenges)} challenges caught"
    lines = [head]
    lines.extend(indent + visible(measured(value)) for value in row.values)
    if row.target is not None and row.result is not Result.PASS:
        lines.append(indent + visible(row.reason))
        lines.extend(indent + "| " + visible(line) for line in row.detail.splitlines())
        lines.append(indent + "if it fails: " + visible(row.if_fails))
    for run in row.challenges:
        if run.outcome is not ChallengeOutcome.CAUGHT:
            lines.append(f"{indent}{run.fault} {run.outcome.value}: {visible(run.reason)}")
        if run.sensitivity is not None:
            lines.append(f"{indent}{run.fault}: {sensitivity(run)}")
    lines.extend(f"{indent}missing  {visible(item)}" for item in row.missing if row.standing is not Standing.FALSIFIED)
    return lines


def _closing(rows: Sequence[Row], summary: Summary) -> list[str]:
    totals = _totals(rows, summary)
    results = ", ".join(f"{count} {name}" for name, count in totals["results"].items())
    standings = ", ".join(f"{count} {name}" for name, count in totals["standings"].items())
    elsewhere = totals["not_on_these_targets"]
    lines = [f"wrote {path}" for path in summary.written]
    lines.append(
        f"{totals['contracts']} contracts, {totals['falsifiers']} falsifiers"
        f" on {', '.join(summary.targets)}: {results or 'nothing ran'}"
        + (f", {elsewhere} need other targets" if elsewhere else "")
        + f"; {totals['challenges_caught']} of {totals['challenges']} challenges caught."
    )
    lines.append(f"Contracts: {standings}. {summary.duration_s:.1f} s, run {summary.run}.")
    return lines


def _totals(rows: Sequence[Row], summary: Summary) -> dict[str, Any]:
    runs = [run for row in rows for run in row.challenges]
    return {
        "contracts": len(summary.contracts),
        "falsifiers": len({row.id for row in rows}),
        "results": dict(sorted(Counter(row.result.value for row in rows if row.target is not None).items())),
        "not_on_these_targets": sum(row.target is None for row in rows),
        "standings": dict(sorted(Counter(standing.value for _, standing in summary.contracts).items())),
        "challenges": len(runs),
        "challenges_caught": sum(run.outcome is ChallengeOutcome.CAUGHT for run in runs),
        "duration_s": round(summary.duration_s, 3),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "contract": row.contract,
        "target": row.target,
        "result": row.result.value,
        "reason": row.reason,
        "standing": row.standing.value,
        "missing": list(row.missing),
        "values": [
            {
                "name": value.name,
                "value": value.value,
                "unit": value.unit,
                "limit": value.limit,
                "bound": value.bound,
                "margin": value.margin,
            }
            for value in row.values
        ],
        "challenges": [run_json(run) for run in row.challenges],
        "evidence": row.evidence,
        "duration_s": round(row.duration_s, 3),
    }
