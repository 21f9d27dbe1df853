"""Expected standings come from the definitions of the words, written out case by case."""

from datetime import date

import pytest

from pv.discharge.standing import Proof, contract_standing, falsifier_standing, weakest
from pv.schema.contract import Contract, Falsifier
from pv.schema.verdict import ChallengeOutcome, Result, Standing

FAULT = "lib.faults:off_by_one"
CAUGHT = {FAULT: ChallengeOutcome.CAUGHT}


def falsifier(targets=("cpu",), challenges=(FAULT,)):
    return Falsifier(
        id="F-1",
        refutes=("holds",),
        prediction="p",
        test="t.py::test",
        targets=targets,
        challenges=challenges,
        if_fails="look",
    )


def proof(result=Result.PASS, target="cpu", started="2026-01-01T00:00:00Z", **changes):
    fields = {"values": 1, "challenges": CAUGHT, "evidence": f"sha256:{started}{result}{target}", "reason": "because"}
    return Proof(target=target, result=result, started=started, **{**fields, **changes})


def test_a_pass_with_values_and_every_challenge_caught_discharges():
    judged = falsifier_standing(falsifier(), [proof()])
    assert judged.standing is Standing.DISCHARGED
    assert judged.have == ("cpu",)
    assert judged.missing == ()
    assert judged.evidence == (proof().evidence,)


def test_no_evidence_is_open():
    judged = falsifier_standing(falsifier(), [])
    assert (judged.standing, judged.missing) == (Standing.OPEN, ("cpu: no evidence",))


@pytest.mark.parametrize(
    "result", [Result.ERROR, Result.TIMEOUT, Result.CRASH, Result.FLAKY, Result.SKIPPED, Result.NOT_RUN]
)
def test_anything_but_pass_and_fail_is_open(result):
    judged = falsifier_standing(falsifier(), [proof(result)])
    assert (judged.standing, judged.missing) == (Standing.OPEN, (f"cpu: {result.value}: because",))


def test_wrong_target_is_open():
    assert falsifier_standing(falsifier(), [proof(Result.WRONG_TARGET)]).standing is Standing.OPEN


def test_a_fresh_fail_beats_a_later_pass():
    proofs = [proof(Result.FAIL, started="2026-01-01T00:00:00Z"), proof(started="2026-01-02T00:00:00Z")]
    assert falsifier_standing(falsifier(), proofs).standing is Standing.FALSIFIED


def test_a_stale_fail_is_forgiven_by_a_fresh_pass():
    proofs = [proof(Result.FAIL, stale=("code (lib/double.py)",)), proof(started="2026-01-02T00:00:00Z")]
    assert falsifier_standing(falsifier(), proofs).standing is Standing.DISCHARGED


def test_a_later_error_takes_the_pass_back():
    proofs = [proof(), proof(Result.TIMEOUT, started="2026-01-02T00:00:00Z")]
    assert falsifier_standing(falsifier(), proofs).standing is Standing.OPEN


def later(minute, result=Result.PASS, **changes):
    return proof(result, started=f"2026-01-01T00:{minute:02}:00Z", **changes)


@pytest.mark.parametrize("result", [Result.TIMEOUT, Result.CRASH, Result.ERROR, Result.FLAKY])
def test_five_attempts_and_one_green_are_flaky(result):
    proofs = [later(minute, result) for minute in range(4)] + [later(4)]
    judged = falsifier_standing(falsifier(), proofs)
    assert (judged.standing, judged.have) == (Standing.OPEN, ())
    assert judged.missing == (f"cpu: FLAKY: 5 attempts with the same inputs: 1 PASS, 4 {result.value}",)


def test_a_flaky_target_leaves_a_weaker_one_standing():
    proofs = [later(0, target="cuda"), later(1, Result.CRASH, target="cuda"), later(2, target="cuda-interpreted")]
    judged = falsifier_standing(falsifier(("cuda",)), proofs)
    assert (judged.standing, judged.have) == (Standing.PARTIAL, ("cuda-interpreted",))
    assert judged.missing[0].startswith("cuda: FLAKY: 2 attempts")


def test_a_flaky_weaker_target_supports_nothing():
    proofs = [later(0, Result.CRASH, target="cuda-interpreted"), later(1, target="cuda-interpreted")]
    assert falsifier_standing(falsifier(("cuda",)), proofs).standing is Standing.OPEN


def test_flakiness_ends_when_an_input_changes():
    proofs = [later(0, Result.TIMEOUT, stale=("contract (falsifier F-1)",)), later(1)]
    assert falsifier_standing(falsifier(), proofs).standing is Standing.DISCHARGED


def test_a_refutation_beats_flakiness():
    proofs = [later(0, Result.TIMEOUT), later(1, Result.FAIL), later(2)]
    assert falsifier_standing(falsifier(), proofs).standing is Standing.FALSIFIED


@pytest.mark.parametrize("result", [Result.SKIPPED, Result.NOT_RUN, Result.WRONG_TARGET])
def test_what_attempted_nothing_does_not_make_a_later_pass_flaky(result):
    assert falsifier_standing(falsifier(), [later(0, result), later(1)]).standing is Standing.DISCHARGED


def test_a_later_skip_takes_the_pass_back():
    judged = falsifier_standing(falsifier(), [later(0), later(1, Result.SKIPPED)])
    assert (judged.standing, judged.missing) == (Standing.OPEN, ("cpu: SKIPPED: because",))


@pytest.mark.parametrize(
    "changes",
    [{"began": False}, {"components": frozenset({"contract", "test", "code"})}],
    ids=["could not be imported", "had no model"],
)
def test_an_error_without_an_attempt_does_not_make_a_later_pass_flaky(changes):
    full = frozenset({"contract", "test", "code", "model"})
    proofs = [later(0, Result.ERROR, **{"components": full, **changes}), later(1, components=full)]
    assert falsifier_standing(falsifier(), proofs).standing is Standing.DISCHARGED


@pytest.mark.parametrize(
    ("host", "ran", "expected"),
    [
        ("laptop", False, Standing.DISCHARGED),
        ("laptop", True, Standing.OPEN),
        ("gpu-box", False, Standing.OPEN),
    ],
    ids=["no device there", "said that it ran there", "a host that has the device"],
)
def test_a_crash_on_an_accelerator_counts_where_the_accelerator_is(host, ran, expected):
    proofs = [later(0, Result.CRASH, target="cuda", host=host, ran=ran), later(1, target="cuda", host="gpu-box")]
    assert falsifier_standing(falsifier(("cuda",)), proofs).standing is expected


def test_a_fault_that_survived_one_attempt_was_not_caught():
    proofs = [later(0, challenges={FAULT: ChallengeOutcome.SURVIVED}), later(1)]
    judged = falsifier_standing(falsifier(), proofs)
    assert judged.standing is Standing.PARTIAL
    assert judged.missing == (f"cpu: challenge {FAULT} SURVIVED 1 of 2 attempts",)


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        ({"values": 0}, "cpu: no measured value was recorded"),
        ({"other_limits": ("another limit",)}, "cpu: another limit"),
        ({"challenges": {}}, f"cpu: challenge {FAULT} was not tried"),
        ({"challenges": {FAULT: ChallengeOutcome.SURVIVED}}, f"cpu: challenge {FAULT} SURVIVED"),
        ({"challenges": {FAULT: ChallengeOutcome.BROKEN}}, f"cpu: challenge {FAULT} BROKEN"),
        ({"challenges": {FAULT: ChallengeOutcome.NOT_APPLIED}}, f"cpu: challenge {FAULT} NOT_APPLIED"),
    ],
    ids=["no value", "another limit", "not tried", "survived", "broken", "not applied"],
)
def test_a_pass_that_lacks_proof_is_partial(changes, gap):
    judged = falsifier_standing(falsifier(), [proof(**changes)])
    assert (judged.standing, judged.missing) == (Standing.PARTIAL, (gap,))


def test_without_a_declared_challenge_nothing_is_discharged():
    judged = falsifier_standing(falsifier(challenges=()), [proof(challenges={})])
    assert judged.standing is Standing.PARTIAL
    assert "no challenge is declared" in judged.missing[0]


def test_changed_inputs_are_stale_and_named():
    judged = falsifier_standing(falsifier(), [proof(stale=("code (lib/double.py)",))])
    assert judged.standing is Standing.STALE
    assert judged.missing == ("cpu: stale, changed since: code (lib/double.py)",)


@pytest.mark.parametrize("weaker", ["cpu", "cuda-interpreted", "cuda-compiled"])
def test_a_weaker_target_is_partial_for_cuda(weaker):
    judged = falsifier_standing(falsifier(("cuda",)), [proof(target=weaker)])
    assert (judged.standing, judged.have, judged.missing) == (Standing.PARTIAL, (weaker,), ("cuda: no evidence",))


def test_the_cpu_alone_says_nothing_about_the_cpu_beside_an_oracle():
    judged = falsifier_standing(falsifier(("cpu-oracle",)), [proof(target="cpu")])
    assert (judged.standing, judged.have, judged.missing) == (Standing.OPEN, (), ("cpu-oracle: no evidence",))


def test_one_kind_of_cuda_serves_cuda_but_not_another_kind():
    assert falsifier_standing(falsifier(("cuda",)), [proof(target="cuda:sm_90")]).standing is Standing.DISCHARGED
    assert falsifier_standing(falsifier(("cuda:sm_80",)), [proof(target="cuda:sm_90")]).standing is Standing.OPEN


def test_a_fail_on_a_weaker_target_does_not_refute():
    judged = falsifier_standing(falsifier(("cuda",)), [proof(Result.FAIL, target="cuda-interpreted")])
    assert judged.standing is Standing.OPEN


def test_every_required_target_counts():
    judged = falsifier_standing(falsifier(("cpu", "cuda")), [proof()])
    assert (judged.standing, judged.missing) == (Standing.PARTIAL, ("cuda: no evidence",))


def test_the_weakest_of_nothing_is_open():
    assert weakest([]) is Standing.OPEN


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        ([Standing.DISCHARGED, Standing.FALSIFIED, Standing.OPEN], Standing.FALSIFIED),
        ([Standing.DISCHARGED, Standing.PARTIAL, Standing.STALE], Standing.STALE),
        ([Standing.DISCHARGED, Standing.WAIVED], Standing.WAIVED),
        ([Standing.DISCHARGED, Standing.DISCHARGED], Standing.DISCHARGED),
    ],
)
def test_the_weakest_wins(standings, expected):
    assert weakest(standings) is expected


def contract(waivers=()):
    return Contract(
        id="c",
        version="1.0.0",
        kind="kernel",
        title="t",
        description="d",
        obligations=[
            {"id": "holds", "type": "invariant", "property": "p"},
            {"id": "lonely", "type": "invariant", "property": "p"},
        ],
        falsifiers=[falsifier().model_dump()],
        waivers=waivers,
    )


def rolled(proofs, waivers=(), today=date(2026, 6, 1)):
    found = {"F-1": falsifier_standing(falsifier(), proofs)}
    return contract_standing(contract(waivers), found, today=today)


def waiver(expires, obligation="lonely"):
    return {"obligation": obligation, "owner": "kernels", "reason": "no device yet", "expires": expires}


def test_an_obligation_without_falsifier_keeps_the_contract_open():
    judged = rolled([proof()])
    assert [item.standing for item in judged.obligations] == [Standing.DISCHARGED, Standing.OPEN]
    assert judged.standing is Standing.OPEN


def test_a_waiver_in_force_is_shown_as_waived_and_not_as_discharged():
    judged = rolled([proof()], [waiver("2026-06-01")])
    assert judged.obligations[1].standing is Standing.WAIVED
    assert judged.standing is Standing.WAIVED


def test_an_expired_waiver_counts_for_nothing():
    assert rolled([proof()], [waiver("2026-05-31")]).standing is Standing.OPEN


@pytest.mark.parametrize(("expires", "standing"), [("2027-06-02", Standing.WAIVED), ("2027-06-03", Standing.OPEN)])
def test_a_waiver_of_more_than_366_days_counts_for_nothing(expires, standing):
    """From 2026-06-01 it is 366 days to 2027-06-02."""
    assert rolled([proof()], [waiver(expires)]).standing is standing


def test_a_waiver_never_hides_a_refutation():
    judged = rolled([proof(Result.FAIL)], [waiver("2027-01-01", "holds"), waiver("2027-01-01")])
    assert judged.obligations[0].standing is Standing.FALSIFIED
    assert judged.obligations[0].waived_until == date(2027, 1, 1)
    assert judged.standing is Standing.FALSIFIED


@pytest.mark.parametrize("evidence", ["sha256:0", "sha256:f"], ids=["ordered before", "ordered after"])
def test_each_weaker_target_speaks_for_itself(evidence):
    """Both ran in one run, so nothing but the digest orders them."""
    skipped = proof(Result.SKIPPED, target="cuda-compiled", evidence=evidence)
    judged = falsifier_standing(falsifier(("cuda",)), [skipped, proof(target="cuda-interpreted", evidence="sha256:7")])
    assert (judged.standing, judged.have) == (Standing.PARTIAL, ("cuda-interpreted",))
