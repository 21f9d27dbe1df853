"""Every rule of the judge with its whole verdict: result, reason and detail, in the order in which they apply."""

from __future__ import annotations

from typing import Any

import pytest

from pv.run.facts import Ending, JobFacts, NodeFacts, Phase
from pv.run.outcomes import Verdict, judge, judge_node
from pv.schema.run import Measured
from pv.schema.verdict import Result


def phase(when: str, outcome: str = "passed", kind: str = "none", **fields: Any) -> Phase:
    return Phase(when, outcome, kind, kind, message=f"{when} message", detail=f"{when} detail", **fields)


def node(*phases: Phase, name: str = "test_a.py::TestA::test_x", **fields: Any) -> NodeFacts:
    """A test that passed, unless phases or fields say otherwise."""
    ran = list(phases) or [phase("setup"), phase("call"), phase("teardown")]
    return NodeFacts(name, **{"collected": 1, "begun": 1, "ended": 1, "phases": ran, **fields})


def failed_call(kind: str = "assertion", **fields: Any) -> NodeFacts:
    return node(phase("setup"), phase("call", "failed", kind), phase("teardown"), **fields)


def facts(*nodes: NodeFacts, target: str = "cpu", ending: Ending = Ending.SEALED, **fields: Any) -> JobFacts:
    return JobFacts(target, ending, "" if ending is Ending.SEALED else "the note", nodes, **fields)


UNFINISHED = node(phase("setup"), ended=0)
NODES: dict[str, tuple[NodeFacts, Verdict]] = {
    "file that skips itself": (node(skipped_file=True, problem="no gpu"), Verdict(Result.SKIPPED, "no gpu")),
    "file that skips itself in silence": (node(skipped_file=True), Verdict(Result.SKIPPED, "its file skips itself")),
    "file with an error": (node(problem="ImportError"), Verdict(Result.ERROR, "cannot be collected: ImportError")),
    "not collected": (node(collected=0), Verdict(Result.ERROR, "not found by pytest")),
    "collected twice": (node(collected=2), Verdict(Result.ERROR, "collected 2 times")),
    "not run": (node(begun=0, ended=0), Verdict(Result.NOT_RUN, "collected, but not run")),
    "hidden exception": (
        node(phase("setup"), phase("call", "passed", "assertion"), phase("teardown")),
        Verdict(Result.ERROR, "reported as passed, but its call raised (assertion)"),
    ),
    "run twice": (
        node(begun=2, ended=2),
        Verdict(Result.FLAKY, "run more than once; the first result counts, and it was not kept"),
    ),
    "one phase twice": (
        node(phase("setup"), phase("call"), phase("call"), phase("teardown")),
        Verdict(Result.FLAKY, "run more than once; the first result counts, and it was not kept"),
    ),
    "rerun by a plugin": (
        node(phase("setup"), phase("call", "rerun", "assertion"), phase("teardown")),
        Verdict(Result.FLAKY, "run more than once; the first result counts, and it was not kept"),
    ),
    "expected failure": (
        node(phase("setup"), phase("call", "skipped", "assertion", xfail=True), phase("teardown")),
        Verdict(Result.NOT_RUN, "marked xfail; an expected failure is not evidence"),
    ),
    "refuted": (failed_call(), Verdict(Result.FAIL, "call message", "call detail")),
    "refuted by pytest.fail": (failed_call("fail"), Verdict(Result.FAIL, "call message", "call detail")),
    "error": (failed_call("error"), Verdict(Result.ERROR, "call: call message", "call detail")),
    "error without a message": (
        node(phase("setup"), Phase("call", "failed", "error", "error"), phase("teardown")),
        Verdict(Result.ERROR, "call: failed"),
    ),
    "refuted in setup": (
        node(phase("setup", "failed", "assertion"), phase("teardown")),
        Verdict(Result.ERROR, "setup: setup message", "setup detail"),
    ),
    "skipped": (
        node(phase("setup", "skipped", "skip"), phase("teardown")),
        Verdict(Result.SKIPPED, "setup message"),
    ),
    "skipped in silence": (
        node(phase("setup"), Phase("call", "skipped", "skip", "skip"), phase("teardown")),
        Verdict(Result.SKIPPED, "skipped"),
    ),
    "unfinished": (UNFINISHED, Verdict(Result.ERROR, "did not finish setup, call and teardown")),
    "never ended": (node(ended=0), Verdict(Result.ERROR, "did not finish setup, call and teardown")),
    "without teardown": (
        node(phase("setup"), phase("call")),
        Verdict(Result.ERROR, "did not finish setup, call and teardown"),
    ),
    "beyond a limit": (
        node(values=[Measured("kept", 1.0, "1", 2.0), Measured("error", 0.123456789, "1", 0.0987654321)]),
        Verdict(Result.FAIL, "error = 0.123457, expected at most 0.0987654"),
    ),
    "below a limit": (
        node(values=[Measured("speed", 0.5, "token/s", 10.0, "at_least")]),
        Verdict(Result.FAIL, "speed = 0.5 token/s, expected at least 10"),
    ),
    "passed": (node(values=[Measured("error", 0.1, "1", 0.2)]), Verdict(Result.PASS, "passed")),
}


@pytest.mark.parametrize(("test", "verdict"), NODES.values(), ids=NODES)
def test_one_test(test: NodeFacts, verdict: Verdict) -> None:
    assert judge_node(test) == verdict


FIRST = "test_a.py::TestA::test_first"
JOBS: dict[str, tuple[JobFacts, Verdict]] = {
    "forged, whatever it says": (
        facts(failed_call(), ending=Ending.FORGED),
        Verdict(Result.ERROR, "the note"),
    ),
    "elsewhere, even if it failed": (
        facts(node(ran_target="cpu"), failed_call(ran_target="cuda:sm_90"), target="cpu"),
        Verdict(Result.WRONG_TARGET, "claimed cpu, ran on cuda:sm_90"),
    ),
    "failed before the crash": (
        facts(failed_call(), ending=Ending.CRASHED),
        Verdict(Result.FAIL, "call message", "call detail"),
    ),
    "failed on an unknown device": (
        facts(failed_call(), target="cuda"),
        Verdict(
            Result.WRONG_TARGET, "claimed cuda, failed before it recorded where it ran: call message", "call detail"
        ),
    ),
    "failed on the claimed device": (
        facts(failed_call(ran_target="cuda:sm_90", device={"launches": 1}), target="cuda"),
        Verdict(Result.FAIL, "call message", "call detail"),
    ),
    "failed without a launch": (
        facts(failed_call(ran_target="cuda:sm_90"), target="cuda"),
        Verdict(Result.WRONG_TARGET, "claimed cuda, but the test showed no kernel launches there"),
    ),
    "timed out": (facts(UNFINISHED, ending=Ending.TIMED_OUT), Verdict(Result.TIMEOUT, "the note")),
    "crashed": (facts(UNFINISHED, ending=Ending.CRASHED), Verdict(Result.CRASH, "the note")),
    "timed out without a test": (facts(ending=Ending.TIMED_OUT), Verdict(Result.TIMEOUT, "the note")),
    "no test": (facts(), Verdict(Result.ERROR, "the job names no test")),
    "unfinished in a child that broke": (
        facts(failed_call("error", ended=0), ending=Ending.UNSEALED),
        Verdict(Result.ERROR, "the note", "call detail"),
    ),
    "unfinished in a child that says nothing": (
        facts(UNFINISHED),
        Verdict(Result.ERROR, "did not finish setup, call and teardown"),
    ),
    "error before the child broke": (
        facts(failed_call("error"), ending=Ending.UNSEALED),
        Verdict(Result.ERROR, "call: call message", "call detail"),
    ),
    "skip before the child broke": (
        facts(node(phase("setup", "skipped", "skip"), phase("teardown"), ended=0), ending=Ending.BAD_STATUS),
        Verdict(Result.SKIPPED, "setup message"),
    ),
    "passed before the child broke": (facts(node(), ending=Ending.UNSEALED), Verdict(Result.ERROR, "the note")),
    "wrong exit status": (facts(node(), ending=Ending.BAD_STATUS), Verdict(Result.ERROR, "the note")),
    "ran more than the plan": (
        facts(node(), unplanned=("test_a.py::test_extra", "test_a.py::test_more")),
        Verdict(Result.ERROR, "test_a.py::test_extra ran without being planned"),
    ),
    "does not say where it ran": (
        facts(node(ran_target="cuda", device={"launches": 1}), node(name=FIRST), target="cuda"),
        Verdict(Result.WRONG_TARGET, "claimed cuda, but the test did not record where it ran"),
    ),
    "one test": (facts(node()), Verdict(Result.PASS, "1 test passed")),
    "three tests": (facts(node(), node(name=FIRST), node(name="b")), Verdict(Result.PASS, "3 tests passed")),
    "worst of two is named": (
        facts(node(), failed_call("error", name=FIRST)),
        Verdict(Result.ERROR, "TestA::test_first: call: call message", "call detail"),
    ),
    "worst of two without a name": (
        facts(node(), failed_call(name="whole")),
        Verdict(Result.FAIL, "whole: call message", "call detail"),
    ),
    "only test is not named": (facts(failed_call("error")), Verdict(Result.ERROR, "call: call message", "call detail")),
}


@pytest.mark.parametrize(("job", "verdict"), JOBS.values(), ids=JOBS)
def test_one_job(job: JobFacts, verdict: Verdict) -> None:
    assert judge(job) == verdict


SEVERITY = [Result.FAIL, Result.ERROR, Result.FLAKY, Result.SKIPPED, Result.NOT_RUN, Result.PASS]
EXAMPLES = {
    Result.FAIL: failed_call(),
    Result.ERROR: failed_call("error"),
    Result.FLAKY: node(begun=2, ended=2),
    Result.SKIPPED: node(phase("setup", "skipped", "skip"), phase("teardown")),
    Result.NOT_RUN: node(begun=0, ended=0),
    Result.PASS: node(),
}


@pytest.mark.parametrize("worse", SEVERITY)
@pytest.mark.parametrize("better", SEVERITY)
def test_worse_of_two_tests_decides_in_either_order(worse: Result, better: Result) -> None:
    expected = min(worse, better, key=SEVERITY.index)
    assert judge(facts(EXAMPLES[worse], EXAMPLES[better])).result is expected
    assert judge(facts(EXAMPLES[better], EXAMPLES[worse])).result is expected
