"""Standing: a pure function of proofs; nothing here reads a file, a clock or a stored status.

    DISCHARGED  every required target: newest fresh proof is PASS on that very target, it has measured values,
                at least one challenge is declared, and all of them were caught
    PARTIAL     something fresh passed on a required or weaker target, nothing was refuted, something is missing
    FALSIFIED   a fresh FAIL on a required target; it beats everything else
    STALE       there is evidence, but an input changed since
    OPEN        nothing fresh that passed

An obligation is as good as its weakest falsifier, a contract as its weakest obligation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pv.schema.contract import Contract, Falsifier, Obligation
from pv.schema.standing import ContractStanding, FalsifierStanding, ObligationStanding
from pv.schema.verdict import ChallengeOutcome, Result, Standing, is_weaker, serves

_WEAKEST_FIRST = (
    Standing.FALSIFIED,
    Standing.OPEN,
    Standing.STALE,
    Standing.PARTIAL,
    Standing.WAIVED,
    Standing.DISCHARGED,
)


@dataclass(frozen=True, slots=True)
class Proof:
    """One evidence record, as far as a standing depends on it."""

    target: str
    result: Result
    started: str
    """UTC, RFC 3339: proofs are ordered by it."""
    evidence: str
    """Digest of the record."""
    stale: tuple[str, ...] = ()
    """Components that changed since; empty means fresh."""
    values: int = 0
    challenges: Mapping[str, ChallengeOutcome] = field(default_factory=dict)
    reason: str = ""


def weakest(standings: Iterable[Standing]) -> Standing:
    """The weakest of all; of none, OPEN: empty is never green."""
    return min(standings, key=_WEAKEST_FIRST.index, default=Standing.OPEN)


def falsifier_standing(falsifier: Falsifier, proofs: Sequence[Proof]) -> FalsifierStanding:
    """What the proofs of one falsifier support."""
    ordered = sorted(proofs, key=lambda proof: (proof.started, proof.evidence))
    fresh = [proof for proof in ordered if not proof.stale]
    refuted = [
        proof
        for proof in fresh
        if proof.result is Result.FAIL and any(serves(proof.target, required) for required in falsifier.targets)
    ]
    if refuted:
        last = refuted[-1]
        return FalsifierStanding(
            falsifier.id, Standing.FALSIFIED, missing=(f"{last.target}: {last.reason}",), evidence=(last.evidence,)
        )

    have: dict[str, str] = {}
    missing: list[str] = []
    for required in falsifier.targets:
        newest = _newest(fresh, required, serves)
        if newest is not None and newest.result is Result.PASS:
            have[newest.target] = newest.evidence
            missing.extend(_gaps(falsifier, newest))
            continue
        missing.append(_why_missing(required, newest, ordered))
        substitute = _newest(fresh, required, is_weaker)
        if substitute is not None and substitute.result is Result.PASS:
            have[substitute.target] = substitute.evidence

    evidence = tuple(dict.fromkeys(have.values()))
    if not missing:
        return FalsifierStanding(falsifier.id, Standing.DISCHARGED, tuple(have), (), evidence)
    if have:
        return FalsifierStanding(falsifier.id, Standing.PARTIAL, tuple(have), tuple(missing), evidence)
    stale = [proof for proof in ordered if proof.stale]
    standing = Standing.STALE if stale and not fresh else Standing.OPEN
    return FalsifierStanding(
        falsifier.id, standing, (), tuple(missing), (stale[-1].evidence,) if standing is Standing.STALE else ()
    )


def contract_standing(
    contract: Contract, falsifiers: Mapping[str, FalsifierStanding], *, today: date
) -> ContractStanding:
    """Roll up: falsifier -> obligation -> contract.

    Args:
        falsifiers: standing of every falsifier of the contract, by id.
        today: decides which waivers are in force.
    """
    obligations = tuple(_obligation(contract, item, falsifiers, today) for item in contract.obligations)
    return ContractStanding(
        contract.id,
        weakest(item.standing for item in obligations),
        obligations,
        tuple(falsifiers[item.id] for item in contract.falsifiers),
    )


def _obligation(
    contract: Contract, obligation: Obligation, falsifiers: Mapping[str, FalsifierStanding], today: date
) -> ObligationStanding:
    refuting = tuple(item.id for item in contract.falsifiers if obligation.id in item.refutes)
    until = max(
        (item.expires for item in contract.waivers if item.obligation == obligation.id and item.expires >= today),
        default=None,
    )
    standing = weakest(falsifiers[name].standing for name in refuting)
    if until is not None and standing in (Standing.OPEN, Standing.STALE, Standing.PARTIAL):
        standing = Standing.WAIVED
    return ObligationStanding(obligation.id, standing, refuting, until)


def _newest(proofs: Sequence[Proof], required: str, matches: Callable[[str, str], bool]) -> Proof | None:
    return next((proof for proof in reversed(proofs) if matches(proof.target, required)), None)


def _gaps(falsifier: Falsifier, proof: Proof) -> list[str]:
    """What a PASS still lacks."""
    gaps = []
    if proof.values == 0:
        gaps.append(f"{proof.target}: no measured value was recorded")
    if not falsifier.challenges:
        gaps.append(f"{proof.target}: no challenge is declared, so nothing shows that it can fail")
    for challenge in falsifier.challenges:
        outcome = proof.challenges.get(challenge.fault)
        if outcome is not ChallengeOutcome.CAUGHT:
            said = "was not tried" if outcome is None else outcome.value
            gaps.append(f"{proof.target}: challenge {challenge.fault} {said}")
    return gaps


def _why_missing(required: str, newest: Proof | None, ordered: Sequence[Proof]) -> str:
    if newest is not None:
        return f"{required}: {newest.result.value}: {newest.reason}"
    stale = [proof for proof in ordered if proof.stale and serves(proof.target, required)]
    if stale:
        return f"{required}: stale, changed since: {'; '.join(stale[-1].stale)}"
    return f"{required}: no evidence"
