"""What a falsifier did about a fault: every combination, with its reason."""

from __future__ import annotations

import pytest

from pv.challenge.outcomes import interpret, wiring_problem
from pv.run.child import FaultTrace
from pv.schema.run import Job, Outcome
from pv.schema.verdict import ChallengeOutcome, Result

JOB = Job("F", "c", ("test_a.py::test_x",), "cpu", 1.0)


def outcome(result: Result) -> Outcome:
    return Outcome(JOB, result, "why", 0.0)


@pytest.mark.parametrize("result", Result)
@pytest.mark.parametrize(("entered", "applied"), [(True, True), (True, False), (False, True), (False, False)])
def test_fault_that_is_not_broken(result: Result, entered: bool, applied: bool) -> None:
    expected = {
        Result.PASS: (ChallengeOutcome.SURVIVED, "passed with the fault in place"),
        Result.FAIL: (ChallengeOutcome.CAUGHT, "why"),
    }
    if result not in expected:
        verdict = (ChallengeOutcome.BROKEN, f"ended in {result}, not in a failed assertion: why")
    elif entered and applied:
        verdict = expected[result]
    else:
        verdict = (ChallengeOutcome.NOT_APPLIED, f"the fault's code never ran, and the result was {result}")
    assert interpret(outcome(result), FaultTrace(entered, applied)) == verdict


@pytest.mark.parametrize("result", Result)
def test_fault_that_cannot_be_seeded_is_broken_whatever_came_of_it(result: Result) -> None:
    assert interpret(outcome(result), FaultTrace(True, True, "no such module")) == (
        ChallengeOutcome.BROKEN,
        "the fault cannot be seeded: no such module",
    )


@pytest.mark.parametrize("result", Result)
def test_wiring_holds_only_if_the_forced_failure_is_a_failure(result: Result) -> None:
    said = "" if result is Result.FAIL else f"a forced failure came out as {result}: why"
    assert wiring_problem(outcome(result)) == said
