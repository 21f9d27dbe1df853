"""Could pv have written this discharge block, today or at any time? A hand that edits one rarely gets all of it right.

DISCHARGED  names records of this falsifier that passed, measured and caught every challenge; nothing is missing
PARTIAL     names records of this falsifier that passed; something is missing
FALSIFIED   names one record of this falsifier that failed; has no target
STALE       names one record of this falsifier; has no target
OPEN        names no record; has no target
WAIVED      is never said of a falsifier
a contract  is as good as its weakest obligation, by the falsifiers in the same block
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pv.lint.recorded import Recorded
from pv.schema.contract import Contract, Discharge, FalsifierDischarge
from pv.schema.verdict import Result, Standing

_ORDER = (
    Standing.FALSIFIED,
    Standing.OPEN,
    Standing.STALE,
    Standing.PARTIAL,
    Standing.WAIVED,
    Standing.DISCHARGED,
)
"""Weakest first."""


def impossible(contract: str, name: str, entry: FalsifierDischarge, records: Mapping[str, Recorded]) -> Iterator[str]:
    """What pv never writes about a falsifier.

    Args:
        records: every record that counts, by digest.
    """
    own: list[Recorded] = []
    for digest in entry.evidence:
        record = records.get(digest)
        if record is None:
            yield f"names evidence {digest[:19]}..., which is not in the store"
        elif (record.contract, record.falsifier) != (contract, name):
            yield f"names evidence {digest[:19]}..., which is about {record.falsifier}"
        else:
            own.append(record)
    if len(own) == len(entry.evidence):
        yield from _impossible_shape(entry, own)


def impossible_rollup(contract: Contract, block: Discharge) -> str:
    """Why the contract's standing does not follow from the falsifiers in its block; empty if it does.

    Waivers come, go and expire, so either answer is taken for what a waiver may cover. Of a block about other
    falsifiers than today's it is only known that no DISCHARGED contract has a weaker one, or none.
    """
    if block.falsifiers.keys() != {item.id for item in contract.falsifiers}:
        weakest = min((item.standing for item in block.falsifiers.values()), key=_ORDER.index, default=Standing.OPEN)
        if block.standing is Standing.DISCHARGED and weakest is not Standing.DISCHARGED:
            said = f"its weakest falsifier there is {weakest}" if block.falsifiers else "there is no falsifier in it"
            return f"is DISCHARGED, and {said}"
        return ""
    strict = _rollup(contract, block, waived=False)
    answers = {strict, _rollup(contract, block, waived=True)}
    if block.standing in answers or (block.standing is Standing.WAIVED and contract.waivers):
        return ""
    return f"is {block.standing}, and its falsifiers in the same block make it {strict}"


def _impossible_shape(entry: FalsifierDischarge, records: Sequence[Recorded]) -> Iterator[str]:
    standing, have = entry.standing, set(entry.have)
    if standing is Standing.WAIVED:
        yield "is WAIVED, which is never said of a falsifier"
    elif standing in (Standing.DISCHARGED, Standing.PARTIAL):
        if not records:
            yield f"is {standing} and names no evidence"
        elif any(record.result is not Result.PASS for record in records):
            yield f"is {standing} by evidence that says {_first_other(records, Result.PASS)}"
        elif have != {record.target for record in records}:
            yield f"has {_listed(entry.have)}, and its evidence is of {_listed([item.target for item in records])}"
        elif standing is Standing.DISCHARGED and not all(record.proves for record in records):
            yield "is DISCHARGED by evidence without values, or with a challenge that was not caught"
        elif (standing is Standing.DISCHARGED) == bool(entry.missing):
            yield f"is {standing} with {'something' if entry.missing else 'nothing'} missing"
    elif have:
        yield f"is {standing} and has {_listed(entry.have)}"
    elif standing is Standing.OPEN and records:
        yield "is OPEN and names evidence that counts"
    elif standing is Standing.STALE and len(records) != 1:
        yield f"is STALE by {len(records)} records, one is the rule"
    elif standing is Standing.FALSIFIED and [record.result for record in records] != [Result.FAIL]:
        said = _first_other(records, Result.FAIL) if records else "nothing"
        yield f"is FALSIFIED by evidence that says {said}"


def _rollup(contract: Contract, block: Discharge, *, waived: bool) -> Standing:
    coverable = {item.obligation for item in contract.waivers} if waived else set()
    found = []
    for obligation in contract.obligations:
        standings = [
            block.falsifiers[item.id].standing for item in contract.falsifiers if obligation.id in item.refutes
        ]
        standing = min(standings, key=_ORDER.index, default=Standing.OPEN)
        if obligation.id in coverable and standing in (Standing.OPEN, Standing.STALE, Standing.PARTIAL):
            standing = Standing.WAIVED
        found.append(standing)
    return min(found, key=_ORDER.index, default=Standing.OPEN)


def _first_other(records: Sequence[Recorded], expected: Result) -> str:
    return next((record.result.value for record in records if record.result is not expected), expected.value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
