"""What came of a discharge, as it is counted and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pv.report.discharge import Row, Summary
from pv.schema.contract import Contract, Falsifier
from pv.schema.run import ChallengeRun, Outcome
from pv.schema.standing import ContractStanding, FalsifierStanding
from pv.schema.verdict import Result, Standing
from pv.workflow.plan import Planned


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one planned falsifier."""

    planned: Planned
    outcome: Outcome
    challenges: tuple[ChallengeRun, ...]
    standing: FalsifierStanding
    evidence: str | None
    """Digest of the record; None where nothing ran."""


@dataclass(frozen=True, slots=True)
class DischargeReport:
    run: str
    entries: tuple[Entry, ...]
    contracts: tuple[ContractStanding, ...]
    elsewhere: tuple[tuple[Contract, Falsifier, FalsifierStanding], ...]
    """Selected falsifiers that need none of the targets asked for."""
    written: tuple[str, ...]
    """Contract files whose block changed."""
    duration_s: float

    @property
    def refuted(self) -> int:
        shown = [entry.standing for entry in self.entries] + [item[2] for item in self.elsewhere]
        return sum(item.standing is Standing.FALSIFIED for item in shown)

    @property
    def undecided(self) -> int:
        """Runs on a target asked for that did not end in a PASS with every challenge caught."""
        return sum(not _proved(entry) for entry in self.entries)


def rows(report: DischargeReport) -> list[Row]:
    """The report as it is shown: what ran first, then what needs other targets."""
    shown = [
        Row(
            id=entry.planned.falsifier.id,
            contract=entry.planned.contract.id,
            target=entry.planned.job.target,
            result=entry.outcome.result,
            reason=entry.outcome.reason,
            detail=entry.outcome.detail,
            if_fails=entry.planned.falsifier.if_fails,
            standing=entry.standing.standing,
            missing=entry.standing.missing,
            values=entry.outcome.values,
            challenges=entry.challenges,
            evidence=entry.evidence,
            duration_s=entry.outcome.duration_s,
        )
        for entry in report.entries
    ]
    others = [
        Row(
            id=falsifier.id,
            contract=contract.id,
            target=None,
            result=Result.NOT_RUN,
            reason=f"needs {', '.join(falsifier.targets)}",
            detail="",
            if_fails=falsifier.if_fails,
            standing=standing.standing,
            missing=standing.missing,
            values=(),
            challenges=(),
            evidence=None,
            duration_s=0.0,
        )
        for contract, falsifier, standing in report.elsewhere
    ]
    return shown + others


def summary(report: DischargeReport, targets: Sequence[str]) -> Summary:
    return Summary(
        run=report.run,
        contracts=tuple((item.contract, item.standing) for item in report.contracts),
        targets=tuple(targets),
        written=report.written,
        duration_s=report.duration_s,
    )


def _proved(entry: Entry) -> bool:
    """Whether this run, together with the earlier attempts at the same inputs, shows all that it was asked for."""
    target = entry.planned.job.target
    supports = target in entry.standing.have
    lacks = any(line.startswith(f"{target}: ") for line in entry.standing.missing)
    faults = entry.planned.falsifier.challenges
    caught = {run.fault for run in entry.challenges if run.outcome.value == "CAUGHT"}
    return (
        supports
        and not lacks
        and entry.outcome.result is Result.PASS
        and bool(entry.outcome.values)
        and bool(faults)
        and all(challenge.fault in caught for challenge in faults)
    )
