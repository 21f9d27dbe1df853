"""Standing: a pure function of proofs; nothing here reads a file, a clock or a stored status.

    DISCHARGED  every required target: newest fresh proof is PASS on that very target, no fresh attempt there failed,
                it has measured values, at least one challenge is declared, and all of them were caught
    PARTIAL     something fresh passed on a required or weaker target, nothing was refuted, something is missing
    FALSIFIED   a fresh FAIL on a required target; it beats everything else
    STALE       there is evidence, but an input changed since
    OPEN        nothing fresh that passed

All attempts count, not the last one: a run that is repeated until it is green proves that it is not always green.
Beside a fresh PASS, another fresh proof for the same target makes the target FLAKY, which supports nothing until an
input changes (a time limit is an input), if it is

    TIMEOUT, CRASH, FLAKY             always
    ERROR                             if a test had begun and the same components were involved: a missing library,
                                      or a model that was not given, is mended without an input changing
    SKIPPED, NOT_RUN, WRONG_TARGET    never: nothing was attempted

and, for an accelerator, if it says that it ran there or its host has passed there: a machine without the device
cannot take the proof of one that has it away. A seeded fault that survived one attempt was not caught.
Without a failed attempt the newest proof decides, so that a test that is skipped today does not live on its past.

An obligation is as good as its weakest falsifier, a contract as its weakest obligation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pv.schema.contract import Contract, Falsifier, Obligation
from pv.schema.standing import ContractStanding, FalsifierStanding, ObligationStanding
from pv.schema.verdict import ChallengeOutcome, Result, Standing, is_weaker, serves
from pv.schema.waiver import MAX_WAIVER_DAYS

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
    host: str = ""
    """Tag of the machine."""
    ran: bool = True
    """Whether the test said where it ran."""
    began: bool = True
    """Whether any of its tests began."""
    components: frozenset[str] = frozenset()
    """What it depends on: contract, test, code, and model if the test asked for it."""
    stale: tuple[str, ...] = ()
    """Components that changed since; empty means fresh."""
    values: int = 0
    other_limits: tuple[str, ...] = ()
    """Tolerances of the contract that the test did not measure, each with what it measured instead."""
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
        attempts = [proof for proof in fresh if serves(proof.target, required)]
        flaky = _flakiness(attempts)
        newest = attempts[-1] if attempts else None
        if newest is not None and newest.result is Result.PASS and not flaky:
            have[newest.target] = newest.evidence
            missing.extend(_gaps(falsifier, newest, attempts))
            continue
        missing.append(f"{required}: {flaky}" if flaky else _why_missing(required, newest, ordered))
        for weaker in dict.fromkeys(proof.target for proof in fresh if is_weaker(proof.target, required)):
            there = [proof for proof in fresh if proof.target == weaker]
            if there[-1].result is Result.PASS and not _flakiness(there):
                have[weaker] = there[-1].evidence

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
        (
            item.expires
            for item in contract.waivers
            if item.obligation == obligation.id and 0 <= (item.expires - today).days <= MAX_WAIVER_DAYS
        ),
        default=None,
    )
    standing = weakest(falsifiers[name].standing for name in refuting)
    if until is not None and standing in (Standing.OPEN, Standing.STALE, Standing.PARTIAL):
        standing = Standing.WAIVED
    return ObligationStanding(obligation.id, standing, refuting, until)


def _flakiness(attempts: Sequence[Proof]) -> str:
    """Why the fresh attempts on one target contradict each other; empty if they do not."""
    passed = [proof for proof in attempts if proof.result is Result.PASS]
    failed = [proof for proof in attempts if _is_failed_attempt(proof, passed)]
    if not passed or not failed:
        return ""
    counts = Counter(proof.result.value for proof in (*passed, *failed))
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"FLAKY: {len(passed) + len(failed)} attempts with the same inputs: {said}"


def _is_failed_attempt(proof: Proof, passed: Sequence[Proof]) -> bool:
    there = [other for other in passed if proof.target == "cpu" or proof.ran or other.host == proof.host]
    if proof.result is Result.ERROR:
        return proof.began and any(other.components == proof.components for other in there)
    return proof.result in (Result.TIMEOUT, Result.CRASH, Result.FLAKY) and bool(there)


def _gaps(falsifier: Falsifier, proof: Proof, attempts: Sequence[Proof]) -> list[str]:
    """What a PASS still lacks."""
    gaps = []
    if proof.values == 0:
        gaps.append(f"{proof.target}: no measured value was recorded")
    else:
        gaps.extend(f"{proof.target}: {said}" for said in proof.other_limits)
    if not falsifier.challenges:
        gaps.append(f"{proof.target}: no challenge is declared, so nothing shows that it can fail")
    for challenge in falsifier.challenges:
        outcome = proof.challenges.get(challenge.fault)
        survived = sum(other.challenges.get(challenge.fault) is ChallengeOutcome.SURVIVED for other in attempts)
        if outcome is not ChallengeOutcome.CAUGHT:
            said = "was not tried" if outcome is None else outcome.value
            gaps.append(f"{proof.target}: challenge {challenge.fault} {said}")
        elif survived:
            gaps.append(f"{proof.target}: challenge {challenge.fault} SURVIVED {survived} of {len(attempts)} attempts")
    return gaps


def _why_missing(required: str, newest: Proof | None, ordered: Sequence[Proof]) -> str:
    if newest is not None:
        return f"{required}: {newest.result.value}: {newest.reason}"
    stale = [proof for proof in ordered if proof.stale and serves(proof.target, required)]
    if stale:
        return f"{required}: stale, changed since: {'; '.join(stale[-1].stale)}"
    return f"{required}: no evidence"
