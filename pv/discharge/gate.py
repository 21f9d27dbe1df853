"""A gate's answer: a pure function of its file, the contracts, the standings and the waivers.

    YES            every row is DISCHARGED or waived, at least one is DISCHARGED, and nothing is wrong
    NO             a row is FALSIFIED and no waiver accepts that
    CANNOT DECIDE  anything else: unknown is not no, and never yes

The answer is computed from the rows and problems that are printed, so none of them can stand beside a YES.
Waivers inside contracts have no effect here: a release is waived where the release is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pv.discharge.requirement import Ask, Problem
from pv.schema.gate import Gate
from pv.schema.run import Measured
from pv.schema.verdict import GateAnswer, Standing, serves
from pv.schema.waiver import MAX_WAIVER_DAYS, GateWaiver


@dataclass(frozen=True, slots=True)
class Seen:
    """What the evidence says of one falsifier on one target alone."""

    standing: Standing
    missing: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    values: tuple[Measured, ...] = ()
    """Of the records that count."""
    model: str | None = None
    """sha256 of the model that they used."""
    unregistered: str = ""
    """Why the claim was not in git before the evidence; empty if it was."""


NOTHING = Seen(Standing.OPEN, ("no evidence",))


@dataclass(frozen=True, slots=True)
class Row:
    """One falsifier on one target, or one obligation that no falsifier refutes there."""

    ask: Ask
    standing: Standing
    reasons: tuple[str, ...]
    """What keeps it from DISCHARGED; empty if it is."""
    seen: Seen = NOTHING
    waivers: tuple[GateWaiver, ...] = ()
    """Waivers in force that cover it; empty if one is missing."""

    @property
    def passes(self) -> bool:
        return self.standing is Standing.DISCHARGED or bool(self.waivers)

    @property
    def shown(self) -> Standing:
        """A waived refutation stays FALSIFIED; any other waived row is WAIVED."""
        return Standing.WAIVED if self.waivers and self.standing is not Standing.FALSIFIED else self.standing


@dataclass(frozen=True, slots=True)
class Margin:
    """The measured value that is nearest to its limit."""

    falsifier: str
    value: Measured

    @property
    def share(self) -> float:
        assert self.value.margin is not None
        return self.value.margin


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    target: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]

    @property
    def answer(self) -> GateAnswer:
        if any(row.standing is Standing.FALSIFIED and not row.passes for row in self.rows):
            return GateAnswer.NO
        shown = any(row.standing is Standing.DISCHARGED for row in self.rows)
        if self.problems or not shown or not all(row.passes for row in self.rows):
            return GateAnswer.CANNOT_DECIDE
        return GateAnswer.YES

    @property
    def open_rows(self) -> tuple[Row, ...]:
        """Rows that keep the answer from YES."""
        return tuple(row for row in self.rows if not row.passes)

    def count(self, standing: Standing) -> int:
        return sum(row.shown is standing for row in self.rows)

    @property
    def worst(self) -> Margin | None:
        """Over the rows that are DISCHARGED; the first one of equals."""
        margins = [
            Margin(row.ask.falsifier, value)
            for row in self.rows
            if row.standing is Standing.DISCHARGED
            for value in row.seen.values
            if value.margin is not None
        ]
        return min(margins, key=lambda item: item.share, default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    gate: Gate
    targets: tuple[TargetAnswer, ...]
    notes: tuple[str, ...] = field(default=())
    """What a reader should know and what keeps nothing from YES."""

    @property
    def answer(self) -> GateAnswer:
        """The weakest of the targets' answers; of none, CANNOT DECIDE."""
        answers = {item.answer for item in self.targets}
        if GateAnswer.NO in answers:
            return GateAnswer.NO
        return GateAnswer.YES if answers == {GateAnswer.YES} else GateAnswer.CANNOT_DECIDE

    @property
    def is_empty(self) -> bool:
        """Nothing was asked at all."""
        return not any(item.rows for item in self.targets)

    @property
    def models(self) -> tuple[str, ...]:
        """sha256 of every model that counted evidence used."""
        return tuple(sorted({row.seen.model for item in self.targets for row in item.rows if row.seen.model}))

    @property
    def waivers(self) -> tuple[GateWaiver, ...]:
        """Those that cover a row, each once."""
        found = {waiver.id: waiver for item in self.targets for row in item.rows for waiver in row.waivers}
        return tuple(found[name] for name in sorted(found))


def decide(
    gate: Gate,
    asks: Mapping[str, Sequence[Ask]],
    seen: Mapping[tuple[str, str], Seen],
    waivers: Iterable[GateWaiver],
    *,
    problems: Sequence[Problem] = (),
    notes: Sequence[str] = (),
    today: date,
) -> Verdict:
    """Answer.

    Args:
        asks: by target that is asked about, what the gate requires there.
        seen: by falsifier and the target of its evidence; what is not here has no evidence.
        waivers: all that exist; those that the gate does not list are left out.
        problems: what is wrong besides; each keeps every target from YES.
    """
    listed = {item.id: item for item in waivers if item.id in gate.waivers}
    everywhere = [*problems, *_unknown_waivers(gate, listed)]
    if not gate.requires:
        everywhere.append(Problem(gate.id, "requires nothing, so there is nothing to decide"))
    active = [item for item in listed.values() if _lapsed(item, today) is None]
    answers = []
    for target, wanted in asks.items():
        rows = [
            _row(ask, seen.get((ask.falsifier, ask.on), NOTHING), active, gate) for ask in wanted if not ask.problem
        ]
        wrong = [ask.problem for ask in wanted if ask.problem is not None]
        if gate.requires and not rows and not wrong:
            wrong.append(Problem(target, "nothing that the gate requires concerns this target"))
        if rows and not any(row.standing is Standing.DISCHARGED for row in rows) and all(row.passes for row in rows):
            wrong.append(Problem(target, "every row is waived; nothing at all was shown"))
        answers.append(TargetAnswer(target, tuple(rows), (*everywhere, *wrong)))
    lapsed = [
        f"waiver '{item.id}' by {item.owner} {why}; it does not count"
        for item in listed.values()
        if (why := _lapsed(item, today)) is not None
    ]
    odd = (*lapsed, *_idle(active, answers), *_registration(answers))
    return Verdict(gate, tuple(answers), (*notes, *odd))


def _row(ask: Ask, seen: Seen, waivers: Sequence[GateWaiver], gate: Gate) -> Row:
    if not ask.falsifier:
        row = Row(ask, Standing.OPEN, (ask.gap,), NOTHING)
    else:
        standing, reasons = seen.standing, list(seen.missing)
        beyond = [value for value in seen.values if not value.holds]
        if standing is Standing.DISCHARGED and beyond:
            standing = Standing.OPEN
            reasons = [f"says PASS beside {beyond[0].name} {beyond[0].value:g}, which is beyond its limit"]
        if standing is Standing.DISCHARGED and gate.registered and seen.unregistered:
            standing, reasons = Standing.PARTIAL, [seen.unregistered]
        if standing is not Standing.DISCHARGED and not reasons:
            reasons = ["no reason is known"]
        row = Row(ask, standing, () if standing is Standing.DISCHARGED else tuple(reasons), seen)
    if row.standing is Standing.DISCHARGED:
        return row
    return Row(row.ask, row.standing, row.reasons, row.seen, _covering(row, waivers))


def _covering(row: Row, waivers: Sequence[GateWaiver]) -> tuple[GateWaiver, ...]:
    """Waivers that together accept the row; obligation by obligation where they are given so."""
    able = [
        item
        for item in waivers
        if item.contract == row.ask.contract
        and serves(row.ask.on, item.target)
        and (item.accepts == "refuted" or row.standing is not Standing.FALSIFIED)
    ]
    for item in able:
        if item.obligation is None and item.falsifier in (None, row.ask.falsifier):
            return (item,)
    by_obligation = {item.obligation: item for item in able}
    if row.ask.obligations and all(name in by_obligation for name in row.ask.obligations):
        return tuple(dict.fromkeys(by_obligation[name] for name in row.ask.obligations))
    return ()


def _lapsed(waiver: GateWaiver, today: date) -> str | None:
    if waiver.expires < today:
        return f"expired on {waiver.expires}"
    days = (waiver.expires - today).days
    return f"lasts {days} more days, at most {MAX_WAIVER_DAYS} are allowed" if days > MAX_WAIVER_DAYS else None


def _unknown_waivers(gate: Gate, listed: Mapping[str, GateWaiver]) -> list[Problem]:
    return [
        Problem(gate.id, f"lists waiver '{name}', which has no file") for name in gate.waivers if name not in listed
    ]


def _idle(active: Sequence[GateWaiver], answers: Sequence[TargetAnswer]) -> list[str]:
    used = {waiver.id for item in answers for row in item.rows for waiver in row.waivers}
    asked = {row.ask.on for item in answers for row in item.rows}
    return [
        f"waiver '{item.id}' covers nothing that is open; remove it from the gate"
        for item in active
        if item.id not in used and any(serves(on, item.target) for on in asked)
    ]


def _registration(answers: Sequence[TargetAnswer]) -> list[str]:
    """Flags of rows that are DISCHARGED; where the gate asks for registered evidence such a row is not."""
    by_reason: dict[str, dict[str, None]] = {}
    for row in (row for item in answers for row in item.rows if row.standing is Standing.DISCHARGED):
        if row.seen.unregistered:
            by_reason.setdefault(row.seen.unregistered, {})[row.ask.falsifier] = None
    said = []
    for reason, names in by_reason.items():
        shown = list(names)
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        said.append(f"{reason} ({', '.join(shown[:3])}{more})")
    return said
