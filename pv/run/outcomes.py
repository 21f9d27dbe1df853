"""From facts to a result: a total function with exactly one way to PASS.

    rule, first that applies                                              result
    records forged                                                        ERROR
    a test recorded that it ran on another target than the claimed one    WRONG_TARGET
    a test recorded that it ran on a GPU, and no kernel launches there    WRONG_TARGET
    a call phase failed by AssertionError or pytest.fail                  FAIL (WRONG_TARGET where nothing says it
                                                                          ran on the claimed accelerator)
    the child timed out / crashed                                         TIMEOUT / CRASH
    the worst test is not a pass                                          ERROR, FLAKY, SKIPPED or NOT_RUN
    the child did not end as its reports demand, or ran something else    ERROR
    a recorded value is beyond its limit                                  FAIL
    an accelerator is claimed and a test did not record where it ran      WRONG_TARGET
    every test: collected once, run once, setup, call, teardown passed    PASS

A refutation stands even if the process broke afterwards: losing it would turn FALSIFIED into OPEN.
Whatever is not listed is ERROR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pv.run.facts import Ending, JobFacts, NodeFacts, Phase
from pv.schema.run import Measured
from pv.schema.verdict import Result, serves

_PHASES = ("setup", "call", "teardown")
_REFUTES = ("assertion", "fail")
_WORST_FIRST = (Result.FAIL, Result.ERROR, Result.FLAKY, Result.SKIPPED, Result.NOT_RUN, Result.PASS)


@dataclass(frozen=True, slots=True)
class Verdict:
    result: Result
    reason: str
    detail: str = ""


def judge(facts: JobFacts) -> Verdict:
    """The result of one job."""
    if facts.ending is Ending.FORGED:
        return Verdict(Result.ERROR, facts.note)
    elsewhere = next((n for n in facts.nodes if n.ran_target and not serves(n.ran_target, facts.target)), None)
    if elsewhere is not None:
        return Verdict(Result.WRONG_TARGET, f"claimed {facts.target}, ran on {elsewhere.ran_target}")
    if any(_is_idle(node) and not _is_forced(node) for node in facts.nodes):
        return Verdict(Result.WRONG_TARGET, f"claimed {facts.target}, but the test showed no kernel launches there")
    worst = _worst(facts)
    if worst is not None and worst[1].result is Result.FAIL:
        return _attributed(facts, *worst)
    if facts.ending is Ending.TIMED_OUT:
        return Verdict(Result.TIMEOUT, facts.note)
    if facts.ending is Ending.CRASHED:
        return Verdict(Result.CRASH, facts.note)
    if worst is None:
        return Verdict(Result.ERROR, "the job names no test")
    if worst[1].result is not Result.PASS:
        unfinished = worst[1].result is Result.ERROR and not worst[0].is_finished
        return Verdict(Result.ERROR, facts.note, worst[1].detail) if unfinished and facts.note else worst[1]
    if facts.ending is not Ending.SEALED:
        return Verdict(Result.ERROR, facts.note)
    if facts.unplanned:
        return Verdict(Result.ERROR, f"{facts.unplanned[0]} ran without being planned")
    if facts.target != "cpu" and not all(node.ran_target and not _is_forced(node) for node in facts.nodes):
        return Verdict(Result.WRONG_TARGET, f"claimed {facts.target}, but the test did not record where it ran")
    count = len(facts.nodes)
    return Verdict(Result.PASS, f"{count} test{'s' if count != 1 else ''} passed")


def judge_node(node: NodeFacts) -> Verdict:
    """The result of one test, the process around it left aside."""
    if node.skipped_file:
        return Verdict(Result.SKIPPED, node.problem or "its file skips itself")
    if node.problem:
        return Verdict(Result.ERROR, f"cannot be collected: {node.problem}")
    if node.collected == 0:
        return Verdict(Result.ERROR, "not found by pytest")
    if node.collected > 1:
        return Verdict(Result.ERROR, f"collected {node.collected} times")
    if node.begun == 0:
        return Verdict(Result.NOT_RUN, "collected, but not run")
    return _judge_phases(node)


def _judge_phases(node: NodeFacts) -> Verdict:
    phases = [phase for phase in node.phases if not phase.subtest]
    order = tuple(phase.when for phase in phases)
    rewritten = next((p for p in node.phases if p.outcome == "passed" and p.raw != "none"), None)
    if rewritten is not None:
        return Verdict(Result.ERROR, f"reported as passed, but its {rewritten.when} raised ({rewritten.raw})")
    if node.begun > 1 or len(set(order)) < len(order) or any(phase.outcome == "rerun" for phase in phases):
        return Verdict(Result.FLAKY, "run more than once; the first result counts, and it was not kept")
    if any(phase.xfail for phase in node.phases):
        return Verdict(Result.NOT_RUN, "marked xfail; an expected failure is not evidence")
    failure = next((phase for phase in node.phases if _refutes(phase)), None)
    if failure is not None:
        return Verdict(Result.FAIL, failure.message, failure.detail)
    broken = next((phase for phase in node.phases if phase.outcome not in ("passed", "skipped")), None)
    if broken is not None:
        return Verdict(Result.ERROR, f"{broken.when}: {broken.message or broken.outcome}", broken.detail)
    skipped = next((phase for phase in node.phases if phase.outcome == "skipped"), None)
    if skipped is not None:
        return Verdict(Result.SKIPPED, skipped.message or "skipped")
    if order != _PHASES or not node.is_finished:
        return Verdict(Result.ERROR, "did not finish setup, call and teardown")
    beyond = next((value for value in node.values if not value.holds), None)
    if beyond is not None:
        return Verdict(Result.FAIL, _beyond(beyond))
    return Verdict(Result.PASS, "passed")


def _refutes(phase: Phase) -> bool:
    return phase.when == "call" and phase.outcome == "failed" and phase.kind in _REFUTES


def _worst(facts: JobFacts) -> tuple[NodeFacts, Verdict] | None:
    judged = [(node, judge_node(node)) for node in facts.nodes]
    if not judged:
        return None
    node, verdict = min(judged, key=lambda pair: _WORST_FIRST.index(pair[1].result))
    if len(judged) > 1 and verdict.result is not Result.PASS:
        name = node.nodeid.partition("::")[2] or node.nodeid
        verdict = Verdict(verdict.result, f"{name}: {verdict.reason}", verdict.detail)
    return node, verdict


def _attributed(facts: JobFacts, node: NodeFacts, verdict: Verdict) -> Verdict:
    """A failure refutes a claim about an accelerator only if the test says that it ran there."""
    if facts.target == "cpu" or node.ran_target:
        return verdict
    reason = f"claimed {facts.target}, failed before it recorded where it ran: {verdict.reason}"
    return Verdict(Result.WRONG_TARGET, reason, verdict.detail)


def _is_idle(node: NodeFacts) -> bool:
    """Whether the record of a GPU shows no launch: neither a count nor counts by kernel."""
    if (node.ran_target or "").partition(":")[0] != "cuda":
        return False
    launches = node.device.get("launches")
    counts = list(launches.values()) if isinstance(launches, Mapping) else [launches]
    return not any(type(count) is int and count > 0 for count in counts)


def _is_forced(node: NodeFacts) -> bool:
    """Whether pv made the test fail instead of running it, as it does for the wiring."""
    return node.device.get("forced") is True


def _beyond(value: Measured) -> str:
    measured = f"{value.value:.6g}" if value.unit == "1" else f"{value.value:.6g} {value.unit}"
    return f"{value.name} = {measured}, expected {value.bound.replace('_', ' ')} {value.limit:.6g}"
