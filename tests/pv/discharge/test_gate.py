"""Gate answers, case by case from the words' definitions, and the promises that hold for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pv.discharge.gate import Seen, Verdict
from pv.discharge.remedy import commands, remedy
from pv.discharge.requirement import Problem
from pv.discharge.standing import Proof, falsifier_standing
from pv.schema.run import Measured
from pv.schema.verdict import ChallengeOutcome, GateAnswer, Result, Standing
from pv.schema.waiver import GateWaiver
from support.gates import contract, gate, seen, verdict, waiver

ROPE = contract(
    "rope", ("F-1", ["angles"], ["cpu"]), ("F-2", ["angles", "norm"], ["cpu"]), obligations=["angles", "norm"]
)
PARITY = contract("parity", ("F-3", ["same"], ["cuda"]), obligations=["same"])
ORDER = {GateAnswer.NO: 0, GateAnswer.CANNOT_DECIDE: 1, GateAnswer.YES: 2}
GREEN = {("F-1", "cpu"): seen("DISCHARGED"), ("F-2", "cpu"): seen("DISCHARGED")}


def reasons(found: Verdict) -> list[str]:
    return [reason for item in found.targets for row in item.open_rows for reason in row.reasons]


def problems(found: Verdict) -> list[str]:
    return [problem.what for item in found.targets for problem in item.problems]


def test_yes_when_everything_required_is_discharged():
    found = verdict(gate("rope"), [ROPE], GREEN)
    assert found.answer is GateAnswer.YES
    assert found.targets[0].count(Standing.DISCHARGED) == 2
    assert problems(found) == reasons(found) == []


@pytest.mark.parametrize("standing", ["OPEN", "PARTIAL", "STALE", "WAIVED"])
def test_anything_unproven_cannot_be_decided(standing):
    found = verdict(gate("rope"), [ROPE], {**GREEN, ("F-2", "cpu"): seen(standing)})
    assert found.answer is GateAnswer.CANNOT_DECIDE


def test_a_refutation_is_a_no_whatever_else_is_missing():
    found = verdict(gate("rope"), [ROPE], {("F-1", "cpu"): seen("FALSIFIED")})
    assert found.answer is GateAnswer.NO


def test_without_evidence_nothing_is_decided():
    found = verdict(gate("rope"), [ROPE], {})
    assert found.answer is GateAnswer.CANNOT_DECIDE
    assert reasons(found) == ["no evidence", "no evidence"]


@pytest.mark.parametrize(
    ("requires", "what"),
    [
        ([], "requires nothing, so there is nothing to decide"),
        (["rop"], "requires 'rop', which names no contract"),
        ([{"select": ["rope"], "at_least": "2"}], "requires at least 2 contracts by rope, 1 are there"),
        ([{"select": ["rope"], "targets": ["cuda"]}], "nothing that the gate requires concerns this target"),
    ],
)
def test_a_gate_that_requires_nothing_or_too_little_is_never_yes(requires, what):
    found = verdict(gate(*requires), [ROPE], GREEN)
    assert found.answer is GateAnswer.CANNOT_DECIDE
    assert problems(found) == [what], "one cause is one problem"


def test_a_gate_without_rows_is_empty():
    assert verdict(gate(), [ROPE], GREEN).is_empty
    assert verdict(gate("rop"), [ROPE], GREEN).is_empty
    assert not verdict(gate("rope"), [ROPE], {}).is_empty
    assert not verdict(gate({"select": ["rope"], "targets": ["cpu"]}, targets=["cpu", "cuda"]), [ROPE], {}).is_empty


def test_each_target_has_its_own_answer_and_the_weakest_is_the_gates():
    found = verdict(gate("rope", targets=["cpu", "cuda"]), [ROPE], GREEN)
    assert [(item.target, item.answer) for item in found.targets] == [
        ("cpu", GateAnswer.YES),
        ("cuda", GateAnswer.CANNOT_DECIDE),
    ]
    assert found.answer is GateAnswer.CANNOT_DECIDE
    assert reasons(found) == ["nothing claims it on cuda; F-1, F-2 name other targets"]


def test_evidence_of_another_target_can_be_asked_for():
    asked = gate({"select": ["parity"]}, {"select": ["rope"], "on": "cpu"}, targets=["cuda"])
    assert verdict(asked, [ROPE, PARITY], {**GREEN, ("F-3", "cuda"): seen("DISCHARGED")}).answer is GateAnswer.YES


def test_an_obligation_that_nothing_refutes_is_a_row():
    bare = contract("bare", ("F-9", ["a"], ["cpu"]), obligations=["a", "b"])
    found = verdict(gate("bare"), [bare], {("F-9", "cpu"): seen("DISCHARGED")})
    assert found.answer is GateAnswer.CANNOT_DECIDE
    assert reasons(found) == ["no falsifier refutes it, on cpu or elsewhere"]


@pytest.mark.parametrize("selector", ["rope", "r*", "F-*", "kind:kernel", "path:contracts/ro*"])
def test_selectors(selector):
    assert verdict(gate(selector), [ROPE], GREEN).answer is GateAnswer.YES


@pytest.mark.parametrize("selector", ["kind:model", "path:falsifiers/*", "kind:", "ROPE", ""])
def test_selectors_that_name_nothing(selector):
    found = verdict(gate({"select": [selector or "x"]}), [ROPE], GREEN)
    assert found.answer is GateAnswer.CANNOT_DECIDE


OPEN = {**GREEN, ("F-2", "cpu"): seen("OPEN")}
REFUTED = {**GREEN, ("F-2", "cpu"): seen("FALSIFIED")}


class TestWaivers:
    def ask(self, evidence, *waivers, listed=("w",)):
        return verdict(gate("rope", waivers=list(listed)), [ROPE], evidence, waivers)

    def test_a_listed_waiver_covers_what_is_open_and_is_shown(self):
        found = self.ask(OPEN, waiver("w", "rope"))
        assert found.answer is GateAnswer.YES
        assert [item.owner for item in found.waivers] == ["kernels team"]
        assert found.notes == ()
        assert found.targets[0].count(Standing.WAIVED) == 1

    def test_a_waiver_that_the_gate_does_not_list_has_no_effect(self):
        assert self.ask(OPEN, waiver("w", "rope"), listed=()).answer is GateAnswer.CANNOT_DECIDE

    def test_a_listed_waiver_without_a_file_is_a_problem(self):
        found = self.ask(GREEN)
        assert found.answer is GateAnswer.CANNOT_DECIDE
        assert problems(found) == ["lists waiver 'w', which has no file"]

    @pytest.mark.parametrize("expires", ["2026-11-20", "2020-01-01", "2099-01-01"])
    def test_an_expired_or_endless_waiver_does_not_count(self, expires):
        found = self.ask(OPEN, waiver("w", "rope", expires=expires))
        assert found.answer is GateAnswer.CANNOT_DECIDE
        assert found.waivers == ()
        assert "it does not count" in found.notes[0]

    @pytest.mark.parametrize(
        ("expires", "said"), [("2026-11-21", "YES"), ("2027-11-22", "YES"), ("2027-11-23", "CANNOT DECIDE")]
    )
    def test_the_first_and_the_last_day_that_count(self, expires, said):
        """366 days from 2026-11-21 is 2027-11-22."""
        assert self.ask(OPEN, waiver("w", "rope", expires=expires)).answer == said

    def test_a_refutation_needs_a_waiver_that_accepts_refutations(self):
        assert self.ask(REFUTED, waiver("w", "rope")).answer is GateAnswer.NO
        found = self.ask(REFUTED, waiver("w", "rope", accepts="refuted"))
        assert found.answer is GateAnswer.YES
        assert found.targets[0].count(Standing.FALSIFIED) == 1

    @pytest.mark.parametrize(
        "changes",
        [{"target": "cuda"}, {"contract": "other"}, {"falsifier": "F-1"}, {"obligation": "norm"}],
        ids=["other target", "other contract", "other falsifier", "one of two obligations"],
    )
    def test_a_waiver_of_something_else_covers_nothing(self, changes):
        assert self.ask(OPEN, waiver("w", "rope", **changes)).answer is GateAnswer.CANNOT_DECIDE

    def test_obligations_are_waived_one_by_one(self):
        pair = [waiver("w", "rope", obligation="angles"), waiver("v", "rope", obligation="norm")]
        assert self.ask(OPEN, *pair, listed=("w", "v")).answer is GateAnswer.YES

    def test_a_gate_that_is_waived_whole_shows_nothing(self):
        found = self.ask({}, waiver("w", "rope"))
        assert found.answer is GateAnswer.CANNOT_DECIDE
        assert problems(found) == ["every row is waived; nothing at all was shown"]
        assert problems(self.ask({}, waiver("w", "rope", falsifier="F-1"))) == []

    def test_a_waiver_that_covers_nothing_is_noted(self):
        found = self.ask(GREEN, waiver("w", "rope"))
        assert found.answer is GateAnswer.YES
        assert found.notes == ("waiver 'w' covers nothing that is open; remove it from the gate",)

    def test_a_waiver_of_a_target_that_is_not_asked_about_is_not_noted(self):
        assert self.ask(GREEN, waiver("w", "rope", target="cuda")).notes == ()

    def test_waivers_inside_contracts_have_no_effect(self):
        inner = ROPE.model_validate(
            {
                **ROPE.model_dump(),
                "waivers": [{"obligation": "norm", "owner": "o", "reason": "r", "expires": "2026-12-31"}],
            }
        )
        assert verdict(gate("rope"), [inner], OPEN).answer is GateAnswer.CANNOT_DECIDE


def test_a_pass_beside_a_value_beyond_its_limit_is_not_believed():
    wrong = seen("DISCHARGED", values=(Measured("error", 2.0, "1", 1.0),))
    found = verdict(gate("rope"), [ROPE], {**GREEN, ("F-1", "cpu"): wrong})
    assert found.answer is GateAnswer.CANNOT_DECIDE


def test_the_worst_margin_is_the_smallest_share_of_the_limit():
    wide = seen("DISCHARGED", values=(Measured("a", 0.1, "1", 1.0), Measured("free", 9.0, "1")))
    tight = seen("DISCHARGED", values=(Measured("b", 0.999, "1", 0.9, "at_least"), Measured("c", 0.97, "1", 1.0)))
    unproven = seen("PARTIAL", values=tight.values)
    loose = verdict(gate("rope"), [ROPE], {("F-1", "cpu"): wide, ("F-2", "cpu"): unproven}).targets[0].worst
    assert loose is not None
    assert (loose.falsifier, loose.value.name) == ("F-1", "a")
    worst = verdict(gate("rope"), [ROPE], {("F-1", "cpu"): wide, ("F-2", "cpu"): tight}).targets[0].worst
    assert worst is not None
    assert (worst.falsifier, worst.value.name) == ("F-2", "c")
    assert worst.share == pytest.approx(0.03)


def test_registration_is_a_note_unless_the_gate_asks_for_it():
    late = {**GREEN, ("F-1", "cpu"): seen("DISCHARGED", unregistered="not registered: it is in no commit")}
    loose = verdict(gate("rope"), [ROPE], late)
    assert (loose.answer, loose.notes) == (GateAnswer.YES, ("not registered: it is in no commit (F-1)",))
    assert verdict(gate("rope"), [ROPE], {("F-1", "cpu"): seen("PARTIAL", unregistered="late")}).notes == ()
    strict = verdict(gate("rope", registered="true"), [ROPE], late)
    assert strict.answer is GateAnswer.CANNOT_DECIDE
    assert remedy(strict.targets[0].open_rows[0]).first == "commit contracts/rope-v1.yaml"


MANY = contract("many", *((f"F-{n}", ["a"], ["cpu"]) for n in range(1, 6)), obligations=["a"])


@pytest.mark.parametrize(
    ("count", "names"),
    [(1, "F-1"), (3, "F-1, F-2, F-3"), (4, "F-1, F-2, F-3 and 1 more"), (5, "F-1, F-2, F-3 and 2 more")],
)
def test_a_flag_names_three_falsifiers_and_counts_the_rest(count, names):
    late = {(f"F-{n}", "cpu"): seen("DISCHARGED", unregistered="late" if n <= count else "") for n in range(1, 6)}
    assert verdict(gate("many"), [MANY], late).notes == (f"late ({names})",)


def test_models_are_those_of_evidence_that_used_one():
    used = {("F-1", "cpu"): seen("DISCHARGED", model="bb"), ("F-2", "cpu"): seen("DISCHARGED", model="aa")}
    plain = {(f"F-{n}", "cpu"): seen("DISCHARGED") for n in (3, 4, 5)}
    assert verdict(gate("many"), [MANY], {**used, **plain}).models == ("aa", "bb")


def test_a_falsifier_that_does_not_name_the_target_is_a_gap_there():
    found = verdict(gate("F-2", targets=["cuda"]), [ROPE], {("F-2", "cuda"): seen("DISCHARGED")})
    assert found.answer is GateAnswer.CANNOT_DECIDE
    assert reasons(found) == ["nothing claims it on cuda; F-2 names other targets"]
    four = verdict(gate("many", targets=["cuda"]), [MANY], {})
    assert reasons(four) == ["nothing claims it on cuda; F-1, F-2, F-3 and 2 more name other targets"]


@pytest.mark.parametrize(
    ("declared", "asked", "answer"),
    [
        ("cuda", "cuda", "YES"),
        ("cuda", "cuda:sm_90", "YES"),
        ("cuda:sm_90", "cuda", "YES"),
        ("cuda:sm_90", "cuda:sm_80", "CANNOT DECIDE"),
        ("cuda-interpreted", "cuda", "CANNOT DECIDE"),
        ("cuda", "cuda-interpreted", "CANNOT DECIDE"),
        ("cpu", "cuda", "CANNOT DECIDE"),
        ("cpu cuda", "cuda", "YES"),
        ("cuda cpu", "cuda", "YES"),
    ],
)
def test_which_declared_target_is_asked_for_where(declared, asked, answer):
    one = contract("one", ("F-1", ["a"], declared.split()), obligations=["a"])
    found = verdict(gate("one", targets=[asked]), [one], {("F-1", asked): seen("DISCHARGED")})
    assert found.answer == answer


def test_an_open_row_without_a_reason_says_so():
    found = verdict(gate("F-1"), [ROPE], {("F-1", "cpu"): seen("OPEN", missing=())})
    assert reasons(found) == ["no reason is known"]


def test_every_open_row_has_a_command():
    evidence = {("F-1", "cpu"): seen("FALSIFIED"), ("F-2", "cpu"): seen("STALE")}
    found = verdict(gate("rope", targets=["cpu", "cuda"]), [ROPE], evidence)
    assert [remedy(row).command for item in found.targets for row in item.open_rows] == [
        "pv discharge F-1 --target cpu",
        "pv discharge F-2 --target cpu",
        "pv discharge rope --target cuda",
    ]
    assert [commands(item) for item in found.targets] == [
        ("pv discharge rope --target cpu",),
        ("pv discharge rope --target cuda",),
    ]


# --- promises over everything that can be put together

# Half of everything is DISCHARGED, so that YES is not rare.
STANDINGS = st.one_of(st.just(Standing.DISCHARGED), st.sampled_from(list(Standing)))


def waiver_called(name: str) -> st.SearchStrategy[GateWaiver]:
    return st.builds(
        lambda on, target, accepts, expires, part: waiver(
            name, on, target=target, accepts=accepts, expires=expires, **part
        ),
        on=st.sampled_from(["rope", "rope", "parity"]),
        target=st.sampled_from(["cpu", "cuda"]),
        accepts=st.sampled_from(["unproven", "refuted"]),
        expires=st.sampled_from(["2026-12-31", "2026-12-31", "2026-11-20", "2099-01-01"]),
        part=st.sampled_from([{}, {"falsifier": "F-2"}, {"obligation": "angles"}, {"obligation": "norm"}]),
    )


PAIR = st.tuples(waiver_called("w"), waiver_called("v")).map(list)
WAIVERS = st.one_of(PAIR, PAIR, waiver_called("w").map(lambda item: [item]), st.just([]))
ON_CPU = {"select": ["rope"], "on": "cpu"}
ON_CUDA = {"select": ["parity"], "targets": ["cuda"]}
GATES = st.builds(
    lambda requires, targets, waivers, registered: gate(
        *requires, targets=targets, waivers=waivers, registered=registered
    ),
    requires=st.one_of(
        st.sampled_from([["rope"], ["F-1"], ["rope", "F-1"], [ON_CPU, ON_CUDA], [ON_CPU], ["F-1", "F-2", ON_CUDA]]),
        st.lists(
            st.sampled_from(["rope", "parity", "F-1", "no-such", {"select": ["*"], "at_least": "3"}, ON_CPU, ON_CUDA]),
            max_size=3,
        ),
    ),
    targets=st.sampled_from([["cpu"], ["cpu"], ["cuda"], ["cpu", "cuda"]]),
    waivers=st.sampled_from([[], ["w"], ["w", "v"]]),
    registered=st.sampled_from(["true", "false"]),
)
KEYS = [(name, on) for name in ("F-1", "F-2", "F-3") for on in ("cpu", "cuda")]
ROWS = st.builds(
    lambda standing, beyond, late: seen(
        standing,
        values=(Measured("e", 2.0 if beyond else 0.5, "1", 1.0),),
        unregistered="not registered: late" if late else "",
    ),
    STANDINGS,
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, False, True]),
)
ALL_GREEN = dict.fromkeys(KEYS, seen("DISCHARGED"))
SEEN = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), ROWS),
    st.fixed_dictionaries(dict.fromkeys(KEYS, ROWS)),
    ROWS.map(lambda row: {**ALL_GREEN, ("F-2", "cpu"): row}),
    st.sampled_from(list(Standing)).map(lambda one: {**ALL_GREEN, ("F-2", "cpu"): seen(one)}),
)
PROBLEMS = st.sampled_from([[], [], [], [Problem("evidence", "is damaged")]])


@settings(max_examples=400, deadline=None)
@given(asked=GATES, found=SEEN, waivers=WAIVERS, wrong=PROBLEMS)
def test_yes_stands_beside_no_problem_and_no_unknown(asked, found, waivers, wrong):
    answer = verdict(asked, [ROPE, PARITY], found, waivers, problems=wrong)
    for item in answer.targets:
        if item.answer is GateAnswer.YES:
            assert item.problems == ()
            assert item.open_rows == ()
            assert any(row.standing is Standing.DISCHARGED for row in item.rows)
            for row in item.rows:
                # Whatever passes was seen with a PASS within its limits, or somebody on the gate's list answers for it.
                if row.standing is Standing.DISCHARGED:
                    assert found[row.ask.falsifier, row.ask.on].standing is Standing.DISCHARGED
                    assert all(value.holds for value in row.seen.values)
                else:
                    assert {each.id for each in row.waivers} & set(asked.waivers)
                    assert all(each.expires.isoformat() == "2026-12-31" for each in row.waivers)
    if answer.answer is GateAnswer.YES:
        assert not wrong
        assert all(item.answer is GateAnswer.YES for item in answer.targets)
        assert not answer.is_empty


@settings(max_examples=200, deadline=None)
@given(asked=GATES, found=SEEN, waivers=WAIVERS, key=st.sampled_from(KEYS))
def test_a_row_that_loses_its_proof_never_improves_an_answer(asked, found, waivers, key):
    proven = {**found, key: seen("DISCHARGED")}
    without = {name: value for name, value in found.items() if name != key}
    before = verdict(asked, [ROPE, PARITY], proven, waivers)
    after = verdict(asked, [ROPE, PARITY], without, waivers)
    assert ORDER[after.answer] <= ORDER[before.answer]


RESULTS = st.sampled_from(list(Result))
FAULT = "lib.faults:f"
PROOFS = st.lists(
    st.builds(
        lambda result, day, stale, values, outcome: Proof(
            target="cpu",
            result=result,
            started=f"2026-01-{day:02}T00:00:00Z",
            evidence=f"sha256:{result}{day}",
            stale=("code",) if stale else (),
            values=values,
            challenges={FAULT: outcome},
            reason="because",
        ),
        RESULTS,
        st.integers(1, 28),
        st.booleans(),
        st.integers(0, 1),
        st.sampled_from(list(ChallengeOutcome)),
    ),
    max_size=4,
)
CHALLENGED = ROPE.falsifiers[0].model_validate({**ROPE.falsifiers[0].model_dump(), "challenges": [FAULT]})


def judged(proofs: list[Proof]) -> Seen:
    standing = falsifier_standing(CHALLENGED, proofs)
    return Seen(standing.standing, standing.missing, standing.evidence)


@settings(max_examples=300, deadline=None)
@given(proofs=PROOFS, day=st.integers(1, 28), waivers=WAIVERS, asked=GATES)
def test_evidence_of_failure_never_improves_an_answer(proofs, day, waivers, asked):
    failure = Proof(
        target="cpu", result=Result.FAIL, started=f"2026-01-{day:02}T12:00:00Z", evidence="sha256:f", reason="false"
    )
    others = {("F-2", "cpu"): seen("DISCHARGED"), ("F-3", "cuda"): seen("DISCHARGED")}
    before = verdict(asked, [ROPE, PARITY], {**others, ("F-1", "cpu"): judged(proofs)}, waivers)
    after = verdict(asked, [ROPE, PARITY], {**others, ("F-1", "cpu"): judged([*proofs, failure])}, waivers)
    assert ORDER[after.answer] <= ORDER[before.answer]
