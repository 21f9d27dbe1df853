"""What challenges showed: a matrix of falsifiers and faults, and everything behind its letters.

Faults are numbered columns with a legend, in blocks that fit 80 characters; no id is cut.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pv.report import faults
from pv.report.escape import visible
from pv.schema.fault import Fault
from pv.schema.run import ChallengeRun
from pv.schema.verdict import ChallengeOutcome, Result

SCHEMA = "pv.challenge/1"

_WIDTH = 80
_CELL = 3
_LEAST_CELLS = 8
_LETTERS = {
    ChallengeOutcome.CAUGHT: "C",
    ChallengeOutcome.SURVIVED: "S",
    ChallengeOutcome.BROKEN: "B",
    ChallengeOutcome.NOT_APPLIED: "N",
}
_INDENT = " " * 13


@dataclass(frozen=True, slots=True)
class Row:
    """One falsifier on one target."""

    id: str
    contract: str
    target: str
    result: Result
    """Without any fault."""
    reason: str
    declared: tuple[str, ...]
    """Faults that its contract says it catches."""
    runs: tuple[ChallengeRun, ...]

    @property
    def label(self) -> str:
        return f"{self.id}  {self.target}"


@dataclass(frozen=True, slots=True)
class Summary:
    targets: tuple[str, ...]
    catalogue: tuple[Fault, ...]
    """Faults that somebody should catch."""
    elsewhere: tuple[str, ...]
    """Selected falsifiers that need none of the targets asked for."""
    duration_s: float
    by_class: bool = False
    """Whether faults are listed with who catches them, and not as columns of a matrix."""


def exit_code(rows: Sequence[Row], summary: Summary, *, at_least: float | None = None) -> int:
    """0 every declared fault was caught; 1 one survived; 4 one was not decided, or a falsifier declares none.

    Args:
        at_least: percent of the catalogue that somebody must catch, and every other fault must say why nobody does;
            1 if it is less.
    """
    if at_least is not None and not faults.is_enough(summary.catalogue, caught_by(rows), at_least):
        return 1
    outcomes = [run.outcome for row in rows for run in row.runs if run.fault in row.declared]
    if ChallengeOutcome.SURVIVED in outcomes:
        return 1
    proved = all(outcome is ChallengeOutcome.CAUGHT for outcome in outcomes)
    return 0 if rows and proved and all(row.declared for row in rows) else 4


def text(rows: Sequence[Row], summary: Summary) -> str:
    tried = list(dict.fromkeys(run.fault for row in rows for run in row.runs))
    tried.sort(key=_faults(rows, summary).index)
    lines: list[str] = []
    if summary.by_class:
        lines += faults.text(summary.catalogue, caught_by(rows), outcomes_by_fault(rows))
    else:
        lines += [*_matrix(rows, tried), *_legend(rows, tried)]
    lines += _details(rows, declared_only=summary.by_class)
    lines += _closing(rows, summary)
    return "\n".join(lines)


def markdown(rows: Sequence[Row], summary: Summary) -> str:
    """The catalogue as a page, with nothing in it that differs from run to run."""
    return faults.markdown(summary.catalogue, caught_by(rows), outcomes_by_fault(rows), summary.targets)


def as_json(rows: Sequence[Row], summary: Summary) -> str:
    caught = caught_by(rows)
    about = {fault.reference: fault for fault in summary.catalogue}
    outcomes = outcomes_by_fault(rows)
    document = {
        "schema": SCHEMA,
        "falsifiers": [_row_json(row) for row in rows],
        "faults": [
            {
                "fault": fault,
                "in_catalogue": fault in about,
                "class": about[fault].kind if fault in about else "",
                "why_not_caught": "" if fault in caught else faults.reason(about.get(fault), outcomes[fault]),
                "tried": sum(run.fault == fault for row in rows for run in row.runs),
                "caught_by": caught.get(fault, []),
            }
            for fault in _faults(rows, summary)
        ],
        "caught_by_nobody": _uncaught(rows, summary),
        "not_on_these_targets": list(summary.elsewhere),
        "totals": _totals(rows, summary),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _faults(rows: Sequence[Row], summary: Summary) -> list[str]:
    return list(dict.fromkeys([*(fault.reference for fault in summary.catalogue), *_tried(rows)]))


def _tried(rows: Sequence[Row]) -> Iterator[str]:
    yield from (run.fault for row in rows for run in row.runs)


def outcomes_by_fault(rows: Sequence[Row]) -> Mapping[str, Counter[ChallengeOutcome]]:
    counted: dict[str, Counter[ChallengeOutcome]] = defaultdict(Counter)
    for row in rows:
        for run in row.runs:
            counted[run.fault][run.outcome] += 1
    return counted


def caught_by(rows: Sequence[Row]) -> dict[str, list[str]]:
    """For each fault that is caught, by whom."""
    caught: dict[str, list[str]] = {}
    for row in rows:
        for run in row.runs:
            if run.outcome is ChallengeOutcome.CAUGHT:
                caught.setdefault(run.fault, []).append(row.label)
    return caught


def _uncaught(rows: Sequence[Row], summary: Summary) -> list[str]:
    caught = caught_by(rows)
    return [fault for fault in _faults(rows, summary) if fault not in caught]


def _matrix(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[str]:
    if not rows or not columns:
        return
    longest = max(len(row.label) for row in rows)
    is_beside = _WIDTH - longest >= _LEAST_CELLS * _CELL
    left = longest if is_beside else 4
    cells = (_WIDTH - left) // _CELL
    yield "C caught, S survived, B broken, N not applied, . not run"
    for start in range(0, len(columns), cells):
        block = columns[start : start + cells]
        yield ""
        yield " " * left + "".join(f"{start + offset + 1:>{_CELL}}" for offset in range(len(block)))
        for row in rows:
            outcomes = {run.fault: run.outcome for run in row.runs}
            marks = "".join(f"{_LETTERS[outcomes[fault]] if fault in outcomes else '.':>{_CELL}}" for fault in block)
            if is_beside:
                yield row.label.ljust(left) + marks
            else:
                yield row.label
                yield " " * left + marks
    yield ""


def _legend(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[str]:
    for number, fault in enumerate(columns, start=1):
        outcomes = [run.outcome for row in rows for run in row.runs if run.fault == fault]
        caught = sum(outcome is ChallengeOutcome.CAUGHT for outcome in outcomes)
        yield f"{number:>{_CELL}}  {fault}  caught by {caught} of {len(outcomes)}"
    if columns:
        yield ""


def _details(rows: Sequence[Row], *, declared_only: bool = False) -> Iterator[str]:
    for row in rows:
        if row.result is not Result.PASS:
            yield f"{row.result.value:<13}{row.label}"
            yield _INDENT + visible(f"without any fault: {row.reason}")
        if not row.declared:
            yield f"{'UNCHALLENGED':<13}{row.label}"
            yield _INDENT + "declares no challenge, so nothing shows that it can fail"
        for run in row.runs:
            # One that does not pass without a fault has said why, once for all its faults.
            is_shown = run.fault in row.declared or not declared_only
            if is_shown and run.outcome is not ChallengeOutcome.CAUGHT and row.result is Result.PASS:
                yield f"{run.outcome.value:<13}{row.label}"
                yield _INDENT + visible(f"{run.fault}: {run.reason}")
    measured = [(row, run) for row in rows for run in row.runs if run.sensitivity is not None]
    for row, run in measured:
        yield f"{'SENSITIVITY':<13}{row.label}"
        yield _INDENT + f"{run.fault}: {sensitivity(run)}"


def sensitivity(run: ChallengeRun) -> str:
    """`smallest relative size caught 3.2e-05 (10 runs)`; empty where none was searched for."""
    if run.sensitivity is None:
        return ""
    smallest, count = run.sensitivity.smallest_caught, len(run.sensitivity.tried)
    runs = f"({count} run{'s' if count != 1 else ''})"
    if smallest is None and run.sensitivity.tried[-1] == (0.0, ChallengeOutcome.CAUGHT):
        return f"caught at size 0 as well, so the fault does not depend on its size {runs}"
    if smallest is None:
        return f"no relative size up to 1 was caught {runs}"
    return f"smallest relative size caught {smallest:.2g} {runs}"


def _closing(rows: Sequence[Row], summary: Summary) -> Iterator[str]:
    totals = _totals(rows, summary)
    uncaught = _uncaught(rows, summary)
    if any(True for _ in _details(rows, declared_only=summary.by_class)):
        yield ""
    if uncaught and not summary.by_class:
        yield "Caught by nobody:"
        tried = {run.fault for row in rows for run in row.runs}
        yield from (f"  {fault}" + ("" if fault in tried else "  (not run)") for fault in uncaught)
    yield f"{totals['faults']} faults, {len(uncaught)} of them caught by nobody here."
    outcomes = ", ".join(f"{count} {name}" for name, count in totals["outcomes"].items()) or "none"
    yield (
        f"{totals['falsifiers']} falsifiers on {', '.join(summary.targets)}, {totals['pairs']} pairs run: {outcomes}; "
        f"{totals['declared_caught']} of {totals['declared']} declared caught."
    )
    if summary.elsewhere:
        yield f"{len(summary.elsewhere)} falsifiers need other targets: {', '.join(summary.elsewhere)}."
    yield f"{totals['sensitivity_runs']} further runs for sensitivity. {summary.duration_s:.1f} s."


def _totals(rows: Sequence[Row], summary: Summary) -> dict[str, Any]:
    pairs = [(row, run) for row in rows for run in row.runs]
    declared = [run for row, run in pairs if run.fault in row.declared]
    return {
        "falsifiers": len({row.id for row in rows}),
        "unchallenged": sum(not row.declared for row in rows),
        "faults": len(_faults(rows, summary)),
        "pairs": len(pairs),
        "outcomes": dict(sorted(Counter(run.outcome.value for _, run in pairs).items())),
        "declared": len(declared),
        "declared_caught": sum(run.outcome is ChallengeOutcome.CAUGHT for run in declared),
        "undeclared": len(pairs) - len(declared),
        "sensitivity_runs": sum(len(run.sensitivity.tried) for _, run in pairs if run.sensitivity is not None),
        "duration_s": round(summary.duration_s, 3),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "contract": row.contract,
        "target": row.target,
        "result": row.result.value,
        "reason": row.reason,
        "challenges": [run_json(run) | {"declared": run.fault in row.declared} for run in row.runs],
    }


def run_json(run: ChallengeRun) -> dict[str, Any]:
    """One run; `smallest_caught` and `sizes_tried` stand there only if the size was searched for."""
    document: dict[str, Any] = {"fault": run.fault, "outcome": run.outcome.value, "reason": run.reason}
    if run.sensitivity is not None:
        document["smallest_caught"] = run.sensitivity.smallest_caught
        document["sizes_tried"] = [[size, outcome.value] for size, outcome in run.sensitivity.tried]
    return document
