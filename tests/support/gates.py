"""Gates, contracts and what evidence says of them, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pv.discharge.gate import Seen, Verdict, decide
from pv.discharge.requirement import asks
from pv.schema.contract import Contract, Falsifier, Obligation
from pv.schema.gate import Gate
from pv.schema.verdict import Standing
from pv.schema.waiver import GateWaiver

TODAY = date(2026, 11, 21)


def contract(name: str, *falsifiers: tuple[str, Sequence[str], Sequence[str]], obligations: Sequence[str]) -> Contract:
    """Each falsifier is (id, obligations it refutes, targets)."""
    return Contract(
        id=name,
        version="1.0.0",
        kind="kernel",  # type: ignore[arg-type]
        title="t",
        description="d",
        obligations=tuple(Obligation(id=item, type="safety", property="p") for item in obligations),  # type: ignore[arg-type]
        falsifiers=tuple(
            Falsifier(
                id=id_, refutes=tuple(refutes), prediction="p", test="t.py::t", targets=tuple(targets), if_fails="x"
            )
            for id_, refutes, targets in falsifiers
        ),
    )


def waiver(name: str, on: str, **changes: Any) -> GateWaiver:
    fields: dict[str, Any] = {
        "id": name,
        "contract": on,
        "target": "cpu",
        "owner": "kernels team",
        "reason": "no hardware yet",
        "expires": "2026-12-31",
    }
    return GateWaiver.model_validate({**fields, **changes})


def gate(*requires: Any, targets: Sequence[str] = ("cpu",), **changes: Any) -> Gate:
    fields = {"id": "ship", "question": "may it ship?", "targets": list(targets), "requires": list(requires)}
    return Gate.model_validate({**fields, **changes})


def seen(standing: Standing | str, **changes: Any) -> Seen:
    fields: dict[str, Any] = {"missing": () if standing == "DISCHARGED" else ("cpu: because",)}
    return Seen(Standing(standing), **{**fields, **changes})


def verdict(
    asked: Gate,
    contracts: Sequence[Contract],
    found: Mapping[tuple[str, str], Seen],
    waivers: Sequence[GateWaiver] = (),
    **changes: Any,
) -> Verdict:
    paths = {item.id: f"contracts/{item.id}-v1.yaml" for item in contracts}
    wanted = {target: asks(asked, target, contracts, paths) for target in asked.targets}
    return decide(asked, wanted, found, waivers, today=TODAY, **changes)
