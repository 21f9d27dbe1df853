"""Standings as a whole: id, targets, every line of what is missing, and the records that count."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pv.discharge.standing import Proof, contract_standing, falsifier_standing
from pv.schema.contract import Challenge, Contract, Falsifier, Obligation, ObligationType
from pv.schema.standing import ContractStanding, FalsifierStanding, ObligationStanding
from pv.schema.verdict import ChallengeOutcome, Result, Standing

FAULT = "lib.faults:off_by_one"


def falsifier(*targets: str, name: str = "F-1", refutes: tuple[str, ...] = ("holds",)) -> Falsifier:
    return Falsifier(
        id=name, refutes=refutes, prediction="p", test="t.py::test", targets=targets or ("cpu",),
        challenges=(Challenge(fault=FAULT),), if_fails="look",
    )  # fmt: skip


def proof(minute: int, result: Result = Result.PASS, target: str = "cpu", **changes: Any) -> Proof:
    fields: dict[str, Any] = {
        "started": f"2026-01-01T00:{minute:02}:00Z", "evidence": f"sha256:{minute}", "values": 1, "reason": "because",
        "challenges": {FAULT: ChallengeOutcome.CAUGHT},
    }  # fmt: skip
    return Proof(target=target, result=result, **{**fields, **changes})


STALE = ("code (lib/double.py)", "model (file)")
CASES: dict[str, tuple[Falsifier, list[Proof], FalsifierStanding]] = {
    "falsified by the last refutation": (
        falsifier(),
        [proof(1, Result.FAIL), proof(2, Result.FAIL, reason="worse"), proof(3)],
        FalsifierStanding("F-1", Standing.FALSIFIED, (), ("cpu: worse",), ("sha256:2",)),
    ),
    "discharged on two targets": (
        falsifier("cpu", "cuda"),
        [proof(1), proof(2, target="cuda:sm_90")],
        FalsifierStanding("F-1", Standing.DISCHARGED, ("cpu", "cuda:sm_90"), (), ("sha256:1", "sha256:2")),
    ),
    "partial by a weaker target": (
        falsifier("cuda"),
        [proof(1, target="cuda-interpreted")],
        FalsifierStanding("F-1", Standing.PARTIAL, ("cuda-interpreted",), ("cuda: no evidence",), ("sha256:1",)),
    ),
    "partial by a gap": (
        falsifier(),
        [proof(1, values=0, challenges={FAULT: ChallengeOutcome.BROKEN})],
        FalsifierStanding(
            "F-1", Standing.PARTIAL, ("cpu",),
            ("cpu: no measured value was recorded", f"cpu: challenge {FAULT} BROKEN"), ("sha256:1",),
        ),
    ),
    "stale, with the last record and all that changed": (
        falsifier(),
        [proof(1, stale=("contract (x)",)), proof(2, stale=STALE)],
        FalsifierStanding(
            "F-1", Standing.STALE, (), ("cpu: stale, changed since: code (lib/double.py); model (file)",),
            ("sha256:2",),
        ),
    ),
    "open beside stale evidence for another target": (
        falsifier("cuda"),
        [proof(1, stale=STALE)],
        FalsifierStanding("F-1", Standing.STALE, (), ("cuda: no evidence",), ("sha256:1",)),
    ),
    "open after an error": (
        falsifier(),
        [proof(1, stale=STALE), proof(2, Result.CRASH)],
        FalsifierStanding("F-1", Standing.OPEN, (), ("cpu: CRASH: because",), ()),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("claim", "proofs", "standing"), CASES.values(), ids=CASES)
def test_whole_standing(claim: Falsifier, proofs: list[Proof], standing: FalsifierStanding) -> None:
    assert falsifier_standing(claim, proofs) == standing


def test_failed_attempt_on_cpu_counts_whatever_it_says_of_its_place() -> None:
    """On an accelerator a host that never reached it is no attempt; every host has a CPU."""
    elsewhere = {"ran": False, "host": "host-2"}
    found = falsifier_standing(falsifier(), [proof(1, host="host-1"), proof(2, Result.TIMEOUT, **elsewhere)])
    assert found.missing == ("cpu: FLAKY: 2 attempts with the same inputs: 1 PASS, 1 TIMEOUT",)
    cuda = [proof(1, target="cuda", host="host-1"), proof(0, Result.TIMEOUT, "cuda", **elsewhere)]
    assert falsifier_standing(falsifier("cuda"), cuda).standing is Standing.DISCHARGED


def test_whole_contract() -> None:
    claims = (falsifier(name="F-1", refutes=("one",)), falsifier(name="F-2", refutes=("one", "two")))
    contract = Contract(
        id="c", version="1.0.0", kind="kernel", title="t", description="d", falsifiers=claims,  # type: ignore[arg-type]
        obligations=tuple(Obligation(id=name, type=ObligationType.SAFETY, property="p") for name in ("one", "two")),
    )  # fmt: skip
    standings = {
        "F-1": FalsifierStanding("F-1", Standing.DISCHARGED),
        "F-2": FalsifierStanding("F-2", Standing.PARTIAL, ("cpu",), ("something",)),
    }
    assert contract_standing(contract, standings, today=date(2026, 1, 1)) == ContractStanding(
        "c",
        Standing.PARTIAL,
        (
            ObligationStanding("one", Standing.PARTIAL, ("F-1", "F-2"), None),
            ObligationStanding("two", Standing.PARTIAL, ("F-2",), None),
        ),
        (standings["F-1"], standings["F-2"]),
    )
