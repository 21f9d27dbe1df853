"""`pv gate`: read the question, recompute what it is about, answer; no stored status is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel

from pv.catalog import GATES, Catalog, Questions, load_questions
from pv.discharge.gate import Row, Seen, TargetAnswer, Verdict, decide
from pv.discharge.remedy import commands, remedy
from pv.discharge.requirement import Ask, Problem, asks
from pv.discharge.standing import falsifier_standing
from pv.errors import EvidenceError, UnreadableContract, UsageError
from pv.evidence.store import Stored
from pv.load import Parsed
from pv.report.gate import Column, GateView, Line, Waived
from pv.schema.contract import Contract, Falsifier
from pv.schema.finding import Severity
from pv.schema.gate import Gate
from pv.schema.run import Measured
from pv.schema.settings import Settings
from pv.schema.verdict import Standing, serves
from pv.suggest import did_you_mean
from pv.workflow.history import Registration
from pv.workflow.select import readable_catalog
from pv.workflow.standings import Facts, gather

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class GateFile:
    path: str
    """Relative to the project's root."""
    gate: Gate


@dataclass(frozen=True, slots=True)
class GateReport:
    file: GateFile
    verdict: Verdict
    records: int
    """Evidence records read."""
    contracts: int
    """Contracts in the catalog."""
    model: str | None
    """Path of the model that falsifiers get."""


def answer(root: Path, settings: Settings, name: str, targets: Sequence[str], *, today: date) -> GateReport:
    """Answer the gate `name` on `targets`; on all of its own if none are given.

    Raises:
        UsageError: there is no such gate, or it does not ask about a target.
        UnreadableContract: the gate, a waiver or a contract has errors.
        NothingToCheck: there is no contract.
    """
    questions = load_questions(root, settings)
    file = find_gate(questions, settings, name)
    gate = file.gate
    wanted = tuple(targets) or gate.targets
    for target in wanted:
        if not any(serves(target, item) for item in gate.targets):
            raise UsageError(f"gate '{gate.id}' does not ask about {target!r}; it asks about {', '.join(gate.targets)}")
    waivers = [_typed(item) for item in questions.waivers]
    catalog = readable_catalog(root, settings)
    paths = {item.contract.id: item.path for item in catalog.loaded if item.contract is not None}
    required = {target: asks(gate, target, catalog.contracts, paths) for target in wanted}
    problems: list[Problem] = []
    notes: list[str] = []
    facts: Facts | None = None
    try:
        facts = gather(root, settings)
        notes.extend(facts.notes)
        problems.extend(Problem("evidence", said, "pv evidence verify") for said in facts.problems)
    except (EvidenceError, UsageError) as err:
        problems.append(Problem("evidence", str(err), "pv evidence verify" if isinstance(err, EvidenceError) else ""))
    seen: dict[tuple[str, str], Seen] = {}
    if facts is not None:
        wanted_claims = (ask for found in required.values() for ask in found)
        seen = _judge(catalog, wanted_claims, facts, Registration(root, settings, paths))
    verdict = decide(gate, required, seen, waivers, problems=problems, notes=notes, today=today)
    return GateReport(file, verdict, facts.count if facts else 0, len(catalog.contracts), settings.model)


def find_gate(questions: Questions, settings: Settings, name: str) -> GateFile:
    """
    Raises:
        UsageError: no gate has this id; names the nearest one.
        UnreadableContract: its file has errors, or two files share the id.
    """
    found = [item for item in questions.gates if PurePosixPath(item.path).stem == name]
    if not found:
        known = sorted({PurePosixPath(item.path).stem for item in questions.gates})
        there = f"; there are {', '.join(known)}" if known else f"; gates are files in {settings.contracts[0]}/{GATES}/"
        raise UsageError(f"no gate is called {name!r}{did_you_mean(name, known) or there}")
    if len(found) > 1:
        raise UnreadableContract(f"gate '{name}' stands in {' and '.join(item.path for item in found)}")
    return GateFile(found[0].path, _typed(found[0]))


def _judge(
    catalog: Catalog, required: Iterable[Ask], facts: Facts, history: Registration
) -> dict[tuple[str, str], Seen]:
    claims = {
        falsifier.id: (loaded.contract, falsifier)
        for loaded, falsifier in catalog.falsifiers()
        if loaded.contract is not None
    }
    found: dict[tuple[str, str], Seen] = {}
    for ask in required:
        if ask.falsifier in claims and (ask.falsifier, ask.on) not in found:
            found[ask.falsifier, ask.on] = _seen(*claims[ask.falsifier], ask.on, facts, history)
    return found


def _seen(contract: Contract, falsifier: Falsifier, on: str, facts: Facts, history: Registration) -> Seen:
    """What the evidence says of one falsifier on one target, its other targets left aside."""
    records, proofs, _ = facts.of(contract, falsifier)
    narrowed = falsifier.model_copy(
        update={"targets": tuple(item for item in falsifier.targets if serves(item, on)) or (on,)}
    )
    standing = falsifier_standing(narrowed, proofs)
    counted = [item for item in records if item.digest in standing.evidence]
    return Seen(
        standing.standing,
        standing.missing,
        standing.evidence,
        tuple(value for item in counted for value in _values(item)),
        next((model for item in counted if (model := _model(item))), None),
        next((why for item in counted if (why := history.why_not(item))), ""),
    )


def _values(stored: Stored) -> Iterator[Measured]:
    for item in stored.statement.predicate.values:
        yield Measured(item.name, item.value, item.unit, item.limit, item.bound)


def _model(stored: Stored) -> str | None:
    return stored.statement.predicate.files.get("model", {}).get("file")


def _typed(parsed: Parsed[ModelT]) -> ModelT:
    """
    Raises:
        UnreadableContract: the file has errors, or another name than its id.
    """
    errors = [item for item in parsed.findings if item.severity is Severity.ERROR]
    if parsed.model is None or errors:
        first = f"{errors[0].location}: {errors[0].message}" if errors else f"{parsed.path}: cannot be read"
        raise UnreadableContract(first + (f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""))
    path = PurePosixPath(parsed.path)
    name = getattr(parsed.model, "id", path.stem)
    if name != path.stem:
        raise UnreadableContract(f"{parsed.path}: its id is '{name}'; the file of that id is {name}{path.suffix}")
    return parsed.model


def view(report: GateReport) -> GateView:
    """The verdict as it is shown."""
    verdict = report.verdict
    return GateView(
        id=verdict.gate.id,
        path=report.file.path,
        question=verdict.gate.question,
        answer=verdict.answer,
        columns=tuple(_column(item) for item in verdict.targets),
        waivers=tuple(Waived(item.id, item.owner, item.reason, item.expires.isoformat()) for item in verdict.waivers),
        notes=verdict.notes,
        model=report.model or "",
        models=verdict.models,
        contracts=report.contracts,
        records=report.records,
    )


def _column(item: TargetAnswer) -> Column:
    worst = item.worst
    return Column(
        target=item.target,
        answer=item.answer,
        rows=len(item.rows),
        counts={standing: count for standing in Standing if (count := item.count(standing))},
        lines=tuple(_line(row) for row in item.rows if row.standing is not Standing.DISCHARGED),
        problems=tuple((f"{problem.where}: {problem.what}", problem.command) for problem in item.problems),
        commands=commands(item),
        worst=None if worst is None else (worst.falsifier, worst.value),
    )


def _line(row: Row) -> Line:
    todo = remedy(row)
    waived = "; ".join(f"waived until {item.expires} by {item.owner} ({item.id})" for item in row.waivers)
    return Line(
        contract=row.ask.contract,
        claim=row.ask.falsifier or ", ".join(row.ask.obligations),
        on=row.ask.on,
        standing=row.standing,
        reasons=row.reasons,
        waived=waived,
        first=todo.first,
        command=todo.command,
    )
