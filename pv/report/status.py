"""Standings rolled up falsifier -> obligation -> contract, as text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pv.report.escape import visible
from pv.schema.standing import ContractStanding, ObligationStanding
from pv.schema.verdict import Standing

SCHEMA = "pv.status/1"

LEGEND = """\
DISCHARGED  passed on every required target, values measured, every seeded fault caught
PARTIAL     something passed, nothing refuted, something missing (listed)
FALSIFIED   refuted by fresh evidence
STALE       evidence exists, but an input changed since (named)
OPEN        nothing fresh that passed
WAIVED      not shown, and somebody answers for it until a date"""


def text(contracts: Sequence[ContractStanding], *, records: int, concise: bool) -> str:
    lines: list[str] = []
    for contract in contracts:
        lines.append(f"{contract.standing.value:<12}{contract.contract}")
        if not concise:
            for obligation in contract.obligations:
                lines.extend(_obligation_lines(obligation, contract))
    if not concise:
        lines.extend(["", LEGEND])
    lines.extend(["", _closing(contracts, records)])
    return "\n".join(lines)


def as_json(contracts: Sequence[ContractStanding], *, records: int) -> str:
    document = {
        "schema": SCHEMA,
        "contracts": [_contract_json(contract) for contract in contracts],
        "totals": {
            "contracts": len(contracts),
            "obligations": sum(len(contract.obligations) for contract in contracts),
            "falsifiers": sum(len(contract.falsifiers) for contract in contracts),
            "records": records,
            "standings": _counts(contracts),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _obligation_lines(obligation: ObligationStanding, contract: ContractStanding) -> list[str]:
    waived = f"  waived until {obligation.waived_until}" if obligation.waived_until else ""
    lines = [f"  {obligation.standing.value:<12}{obligation.obligation}{waived}"]
    for item in contract.falsifiers:
        if item.falsifier in obligation.falsifiers:
            have = f"  have {', '.join(item.have)}" if item.have else ""
            lines.append(f"    {item.standing.value:<12}{item.falsifier}{have}")
            lines.extend(f"                missing  {visible(reason)}" for reason in item.missing)
    return lines


def _closing(contracts: Sequence[ContractStanding], records: int) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in _counts(contracts).items())
    obligations = sum(len(contract.obligations) for contract in contracts)
    falsifiers = sum(len(contract.falsifiers) for contract in contracts)
    return (
        f"{len(contracts)} contracts, {obligations} obligations, {falsifiers} falsifiers, "
        f"{records} evidence records. Contracts: {counts}."
    )


def _counts(contracts: Sequence[ContractStanding]) -> dict[str, int]:
    found = Counter(contract.standing for contract in contracts)
    return {standing.value: found[standing] for standing in Standing if found[standing]}


def _contract_json(contract: ContractStanding) -> dict[str, Any]:
    return {
        "id": contract.contract,
        "standing": contract.standing.value,
        "obligations": [
            {
                "id": item.obligation,
                "standing": item.standing.value,
                "falsifiers": list(item.falsifiers),
                "waived_until": item.waived_until.isoformat() if item.waived_until else None,
            }
            for item in contract.obligations
        ],
        "falsifiers": [
            {
                "id": item.falsifier,
                "standing": item.standing.value,
                "have": list(item.have),
                "missing": list(item.missing),
                "evidence": list(item.evidence),
            }
            for item in contract.falsifiers
        ],
    }
