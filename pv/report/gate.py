"""A gate's verdict as text, as JSON and as workflow commands.

The words are taken from the same rows and problems that the answer is computed from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pv.report.discharge import measured
from pv.report.escape import visible, width
from pv.report.github import data, property_value
from pv.schema.run import Measured
from pv.schema.verdict import GateAnswer, Standing

SCHEMA = "pv.gate/1"

LEGEND = "rows: falsifiers on the target, and obligations that nothing refutes there; a stored status has no say"

_COUNTED = (
    Standing.DISCHARGED, Standing.PARTIAL, Standing.STALE, Standing.FALSIFIED, Standing.OPEN, Standing.WAIVED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One row that is not simply DISCHARGED."""

    contract: str
    claim: str
    """Falsifier or obligation."""
    on: str
    standing: Standing
    reasons: tuple[str, ...]
    waived: str
    """`waived until ... by ...`; empty if it is not."""
    first: str
    command: str

    @property
    def shown(self) -> str:
        return f"{self.standing.value}, {self.waived}" if self.waived else self.standing.value


@dataclass(frozen=True, slots=True)
class Column:
    """One target's answer."""

    target: str
    answer: GateAnswer
    rows: int
    counts: dict[Standing, int]
    lines: tuple[Line, ...]
    problems: tuple[tuple[str, str], ...]
    """(what, command)."""
    commands: tuple[str, ...]
    worst: tuple[str, Measured] | None
    """(falsifier, its value nearest to the limit)."""

    @property
    def blocking(self) -> int:
        return sum(not line.waived for line in self.lines) + len(self.problems)


@dataclass(frozen=True, slots=True)
class Waived:
    id: str
    owner: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True)
class GateView:
    id: str
    path: str
    question: str
    answer: GateAnswer
    columns: tuple[Column, ...]
    waivers: tuple[Waived, ...]
    notes: tuple[str, ...]
    model: str
    """Path of the model; empty if there is none."""
    models: tuple[str, ...]
    """sha256 of the models that counted evidence used."""
    contracts: int
    records: int


def text(view: GateView) -> str:
    answers = ", ".join(f"{column.target}: {column.answer.value}" for column in view.columns)
    lines = [
        f"{view.answer.value} - {answers}",
        f"{visible(view.question)}  ({visible(view.path)})",
        "",
        _model(view),
        "",
        *_matrix(view.columns),
    ]
    for column in view.columns:
        lines.extend(_column(column))
    if view.waivers:
        lines.extend(["", "Waivers in force:"])
        for item in view.waivers:
            lines.append(f"  {item.id}  until {item.expires} by {visible(item.owner)}: {visible(item.reason)}")
    if view.notes:
        lines.extend(["", *(f"note: {visible(note)}" for note in view.notes)])
    lines.extend(["", _closing(view)])
    return "\n".join(lines) + "\n"


def as_json(view: GateView) -> str:
    document = {
        "schema": SCHEMA,
        "gate": view.id,
        "path": view.path,
        "question": view.question,
        "answer": view.answer.value,
        "model": {"path": view.model or None, "sha256": list(view.models)},
        "targets": [_column_json(column) for column in view.columns],
        "waivers": [
            {"id": item.id, "owner": item.owner, "reason": item.reason, "expires": item.expires}
            for item in view.waivers
        ],
        "notes": list(view.notes),
        "totals": {"contracts": view.contracts, "records": view.records},
    }
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def github(view: GateView) -> str:
    """An error or a warning per line that keeps the gate shut, a notice per waived one, then the closing line."""
    lines: list[str] = []
    for column in view.columns:
        title = f"{view.id} on {column.target}: {column.answer.value}"
        for what, command in column.problems:
            lines.append(_command("error", view.path, title, what, command))
        for item in column.lines:
            level = "notice" if item.waived else "error" if item.standing is Standing.FALSIFIED else "warning"
            message = f"{item.contract} {item.claim} is {item.shown}: {'; '.join(item.reasons)}"
            lines.append(_command(level, view.path, title, message, "" if item.waived else item.command))
    answers = ", ".join(f"{column.target}: {column.answer.value}" for column in view.columns)
    return "\n".join([*lines, f"{view.answer.value} - {answers}. {_closing(view)}"]) + "\n"


def _command(level: str, path: str, title: str, message: str, command: str) -> str:
    run = f"; run: {command}" if command else ""
    return f"::{level} file={property_value(path)},title={property_value(title)}::{data(message + run)}"


def _model(view: GateView) -> str:
    if not view.models:
        return "model  none: no evidence that counts used a model"
    digests = ", ".join(f"sha256:{item}" for item in view.models)
    return f"model  {visible(view.model)}  {digests}"


def _matrix(columns: Sequence[Column]) -> list[str]:
    """Standings by target; every cell has its denominator."""
    table = [["", *(column.target for column in columns)]]
    for standing in _COUNTED:
        if standing is Standing.DISCHARGED or any(column.counts.get(standing) for column in columns):
            cells = [f"{column.counts.get(standing, 0)}/{column.rows}" for column in columns]
            table.append([standing.value, *cells])
    table.append(["worst margin", *(_worst(column) for column in columns)])
    table.append(["answer", *(column.answer.value for column in columns)])
    widths = [max(width(row[at]) for row in table) for at in range(len(table[0]))]
    rows = ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in table]
    return [*rows, "", LEGEND]


def _worst(column: Column) -> str:
    if column.worst is None:
        return "-"
    falsifier, value = column.worst
    return f"{falsifier} {visible(measured(value))}"


def _column(column: Column) -> list[str]:
    if not column.lines and not column.problems:
        return []
    lines = ["", f"{column.target}: {column.answer.value}"]
    for what, command in column.problems:
        lines.append(f"  problem     {visible(what)}")
        if command:
            lines.append(f"              run    {command}")
    for item in column.lines:
        lines.append(f"  {visible(item.shown):<10}  {item.contract}  {item.claim}")
        lines.extend(f"              {visible(reason)}" for reason in item.reasons)
        if item.waived:
            continue
        if item.first:
            lines.append(f"              first  {visible(item.first)}")
        lines.append(f"              run    {item.command}")
    if column.commands:
        lines.extend(["", f"To turn {column.target} to YES:", *(f"  {command}" for command in column.commands)])
    return lines


def _closing(view: GateView) -> str:
    rows = sum(column.rows for column in view.columns)
    blocking = sum(column.blocking for column in view.columns)
    return (
        f"{view.contracts} contracts, {rows} rows on {len(view.columns)} targets, {view.records} evidence records:"
        f" {blocking} in the way, {sum(bool(line.waived) for column in view.columns for line in column.lines)} waived."
    )


def _column_json(column: Column) -> dict[str, Any]:
    worst = None
    if column.worst is not None:
        falsifier, value = column.worst
        worst = {
            "falsifier": falsifier,
            "name": value.name,
            "value": value.value,
            "unit": value.unit,
            "limit": value.limit,
            "bound": value.bound,
            "margin": value.margin,
        }
    return {
        "target": column.target,
        "answer": column.answer.value,
        "rows": column.rows,
        "counts": {standing.value: column.counts.get(standing, 0) for standing in _COUNTED},
        "worst_margin": worst,
        "problems": [{"what": what, "command": command or None} for what, command in column.problems],
        "open": [
            {
                "contract": item.contract,
                "claim": item.claim,
                "on": item.on,
                "standing": item.standing.value,
                "reasons": list(item.reasons),
                "waived": item.waived or None,
                "first": item.first or None,
                "command": item.command,
            }
            for item in column.lines
        ],
        "commands": list(column.commands),
    }
