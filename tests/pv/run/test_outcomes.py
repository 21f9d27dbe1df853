"""The rules from facts to a result, over every combination: exactly one is a PASS."""

from __future__ import annotations

import itertools

import pytest

from pv.run.facts import Ending, JobFacts, NodeFacts, Phase
from pv.run.outcomes import judge
from pv.schema.run import Measured
from pv.schema.verdict import Result

OUTCOMES = ("passed", "failed", "skipped", None)
"""None: the phase was not reported."""


def node(
    setup: str | None = "passed",
    call: str | None = "passed",
    teardown: str | None = "passed",
    *,
    kind: str = "assertion",
    collected: int = 1,
    runs: int = 1,
    name: str = "test_x",
) -> NodeFacts:
    """One test; `kind` is what a failed phase raised."""
    raised = {"passed": "none", "failed": kind, "skipped": "skip"}
    phases = [
        Phase(when, outcome, raised[outcome], raised[outcome], message=f"{when} {outcome}")
        for when, outcome in (("setup", setup), ("call", call), ("teardown", teardown))
        if outcome is not None
    ]
    return NodeFacts(f"test_a.py::{name}", collected=collected, begun=runs, ended=runs, phases=phases)


def facts(*nodes: NodeFacts, target: str = "cpu", ending: Ending = Ending.SEALED, unplanned: int = 0) -> JobFacts:
    note = "" if ending is Ending.SEALED else "the child broke"
    return JobFacts(target, ending, note, nodes, ("test_a.py::test_other",) * unplanned)


ROWS = [
    (phases, ending, collected, runs, unplanned)
    for phases in itertools.product(OUTCOMES, repeat=3)
    for ending in Ending
    for collected in (0, 1, 2)
    for runs in (0, 1, 2)
    for unplanned in (0, 1)
]


def test_exactly_one_combination_passes() -> None:
    """64 combinations of phases, 6 endings, and the counts: 6,912 rows."""
    assert len(ROWS) == 64 * 6 * 18
    results = {
        row: judge(facts(node(*row[0], collected=row[2], runs=row[3]), ending=row[1], unplanned=row[4])).result
        for row in ROWS
    }
    passes = [row for row, result in results.items() if result is Result.PASS]
    assert passes == [(("passed", "passed", "passed"), Ending.SEALED, 1, 1, 0)]
    assert set(results.values()) <= set(Result)


def test_failure_needs_a_failed_call() -> None:
    for row in ROWS:
        result = judge(facts(node(*row[0], collected=row[2], runs=row[3]), ending=row[1], unplanned=row[4])).result
        if result is Result.FAIL:
            assert row[0][1] == "failed"
            assert (row[2], row[3]) == (1, 1)
            assert row[1] is not Ending.FORGED


@pytest.mark.parametrize("kind", ["error", "exit", "skip", "xfail", "none", "unheard of"])
def test_only_assertion_and_pytest_fail_refute(kind: str) -> None:
    assert judge(facts(node(call="failed", kind=kind))).result is Result.ERROR


@pytest.mark.parametrize("kind", ["assertion", "fail"])
@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.FORGED])
def test_refutation_stands_however_the_child_ended(kind: str, ending: Ending) -> None:
    assert judge(facts(node(call="failed", kind=kind), ending=ending)).result is Result.FAIL


@pytest.mark.parametrize("outcome", ["rerun", "error", "", "PASSED"])
def test_unknown_outcome_is_not_a_pass(outcome: str) -> None:
    test = node()
    test.phases[1] = Phase("call", outcome)
    assert judge(facts(test)).result in (Result.ERROR, Result.FLAKY)


def test_assertion_in_setup_or_teardown_is_an_error() -> None:
    assert judge(facts(node(setup="failed", call=None))).result is Result.ERROR
    assert judge(facts(node(teardown="failed"))).result is Result.ERROR


def test_job_without_tests_is_an_error() -> None:
    assert judge(facts()).result is Result.ERROR


def test_worst_test_decides() -> None:
    good, skipped, failed = node(name="a"), node(call="skipped", name="b"), node(call="failed", name="c")
    assert judge(facts(good, skipped)).result is Result.SKIPPED
    verdict = judge(facts(good, skipped, failed))
    assert (verdict.result, verdict.reason) == (Result.FAIL, "c: call failed")
    assert judge(facts(good, node(name="d", collected=0, runs=0))).result is Result.ERROR


def test_reason_of_a_pass_is_its_denominator() -> None:
    assert judge(facts(node(name="a"), node(name="b"))).reason == "2 tests passed"


def test_report_that_hides_what_was_raised_is_an_error() -> None:
    test = node()
    test.phases[1] = Phase("call", "passed", "assertion", "assertion")
    assert judge(facts(test)).result is Result.ERROR


def test_expected_failure_is_not_evidence() -> None:
    test = node()
    test.phases[1] = Phase("call", "passed", xfail=True)
    assert judge(facts(test)).result is Result.NOT_RUN


def test_failed_subtest_refutes() -> None:
    test = node()
    test.phases.insert(1, Phase("call", "failed", "assertion", "assertion", subtest=True))
    assert judge(facts(test)).result is Result.FAIL


def test_value_beyond_its_limit_refutes_even_if_the_test_passed() -> None:
    test = node()
    test.values.append(Measured("error", 2.0, "1", limit=1.0))
    assert judge(facts(test)).result is Result.FAIL
    test.values[0] = Measured("score", 2.0, "1", limit=1.0, bound="at_least")
    assert judge(facts(test)).result is Result.PASS


@pytest.mark.parametrize(
    ("claimed", "ran", "result"),
    [
        ("cpu", None, Result.PASS),
        ("cpu", "cpu", Result.PASS),
        ("cpu", "cuda:sm_90", Result.WRONG_TARGET),
        ("cpu", "cuda-interpreted", Result.WRONG_TARGET),
        ("cuda", "cuda:sm_90", Result.PASS),
        ("cuda", "cuda", Result.PASS),
        ("cuda", "cpu", Result.WRONG_TARGET),
        ("cuda", None, Result.WRONG_TARGET),
        ("cuda", "cuda-interpreted", Result.WRONG_TARGET),
        ("cuda:sm_90", "cuda", Result.WRONG_TARGET),
        ("cuda:sm_90", "cuda:sm_80", Result.WRONG_TARGET),
        ("cuda-interpreted", "cuda-interpreted", Result.PASS),
        ("cuda-interpreted", None, Result.WRONG_TARGET),
    ],
)
def test_claimed_target_is_compared_with_the_one_that_ran(claimed: str, ran: str | None, result: Result) -> None:
    test = node()
    test.ran_target, test.device = ran, {"launches": 1}
    assert judge(facts(test, target=claimed)).result is result


@pytest.mark.parametrize("ran", ["cuda", "cuda:sm_90"])
@pytest.mark.parametrize("call", ["passed", "failed"])
@pytest.mark.parametrize(
    ("launches", "is_shown"),
    [
        (1, True),
        ({"q4_k_matvec": 2, "rope": 0}, True),
        (None, False),
        (0, False),
        (-1, False),
        (True, False),
        ("1", False),
        (float("nan"), False),
        ({}, False),
        ({"q4_k_matvec": 0}, False),
        ({"q4_k_matvec": "2"}, False),
    ],
)
def test_a_gpu_without_launches_is_the_wrong_target(ran: str, call: str, launches: object, is_shown: bool) -> None:
    """Whatever ran without a launch ran on the host, and neither supports nor refutes a claim about the GPU."""
    test = node(call=call)
    test.ran_target, test.device = ran, {"target": ran, "launches": launches}
    shown = {"passed": Result.PASS, "failed": Result.FAIL}[call]
    assert judge(facts(test, target="cuda")).result is (shown if is_shown else Result.WRONG_TARGET)


def test_a_forced_failure_needs_no_launches_and_is_never_a_pass() -> None:
    """The wiring is judged by a test that pv makes fail before it runs; nobody passes by saying the same."""
    for call, result in (("failed", Result.FAIL), ("passed", Result.WRONG_TARGET)):
        test = node(call=call)
        test.ran_target, test.device = "cuda", {"target": "cuda", "forced": True}
        assert judge(facts(test, target="cuda")).result is result


def test_failure_that_does_not_say_where_it_ran_refutes_nothing_on_cuda() -> None:
    test = node(call="failed")
    assert judge(facts(test, target="cuda")).result is Result.WRONG_TARGET
    test.ran_target, test.device = "cuda:sm_90", {"launches": 1}
    assert judge(facts(test, target="cuda")).result is Result.FAIL


@pytest.mark.parametrize("target", ["cuda", "cuda-interpreted"])
def test_skip_without_a_device_is_a_skip_and_not_a_wrong_target(target: str) -> None:
    assert judge(facts(node(call="skipped"), target=target)).result is Result.SKIPPED
