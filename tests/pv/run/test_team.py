"""Workers' records become one verdict only if they fit together."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from pv.process.supervise import Exit
from pv.process.team import TeamExit
from pv.run import limits
from pv.run.facts import Ending
from pv.run.team import Team, is_internal
from pv.schema.run import Job

IDS = ("a.py::test_x", "b.py::test_x")
JOBS = tuple(Job(nodeid, "c", (nodeid,), "cpu", 50.0) for nodeid in IDS)
Record = tuple[str, dict[str, Any]]


def left(code: int = 0, *, timed_out: bool = False, broken: str = "") -> Exit:
    return Exit(code, timed_out, broken, "", 1.0)


def records_of(nodeid: str, outcome: str = "passed") -> list[Record]:
    common = {"kind_of": "none", "raw": "none", "xfail": False, "subtest": False, "message": "", "detail": ""}
    phases: list[Record] = [
        ("phase", {"id": nodeid, "when": when, "outcome": outcome if when == "call" else "passed", **common})
        for when in ("setup", "call", "teardown")
    ]
    return [("begin", {"id": nodeid, "modules": []}), *phases, ("end", {"id": nodeid})]


def say(team: Team, index: int, *records: Record, now: float | None = None) -> None:
    for kind, fields in records:
        team.members[index].record({"kind": kind, **fields}, now or time.monotonic())


def play(team: Team, index: int, ran: list[Record], *, plan: tuple[str, ...] = IDS, status: int = 0) -> None:
    nonce = team.nonces[index]
    say(team, index, ("start", {"nonce": nonce}), ("plan", {"ids": list(plan)}), *ran)
    say(team, index, ("finish", {"nonce": nonce, "exitstatus": status, "versions": {}, "shadowed": []}))


def team() -> Team:
    return Team(JOBS, 2, lambda _kind, _job, _passed_with: None)


def ending(team: Team, *, controller: int = 0, workers: tuple[Exit | None, ...] = (left(), left())) -> Ending:
    end = TeamExit(left(controller), workers)
    return team.merged(end).ending(end.controller)


def test_every_test_once_over_all_workers_is_sealed() -> None:
    both = team()
    play(both, 0, records_of(IDS[0]))
    play(both, 1, records_of(IDS[1]))
    assert ending(both) is Ending.SEALED
    nodes = both.merged(TeamExit(left(), (left(), left()))).nodes
    assert [(node.collected, node.begun, node.ended, len(node.phases)) for node in nodes.values()] == [(1, 1, 1, 3)] * 2


def test_worker_without_work_is_no_harm() -> None:
    both = team()
    play(both, 0, [*records_of(IDS[0]), *records_of(IDS[1])])
    play(both, 1, [])
    assert ending(both) is Ending.SEALED


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([*records_of(IDS[0])], [*records_of(IDS[0]), *records_of(IDS[1])]),
        ([*records_of(IDS[0])], []),
        ([*records_of(IDS[0]), ("end", {"id": IDS[0]})], records_of(IDS[1])),
    ],
    ids=["one test in two workers", "a test in none", "an end too many"],
)
def test_not_every_test_once_is_not_sealed(first: list[Record], second: list[Record]) -> None:
    both = team()
    play(both, 0, first)
    play(both, 1, second)
    assert ending(both) is Ending.UNSEALED


def test_workers_that_plan_different_tests_are_not_sealed() -> None:
    both = team()
    play(both, 0, records_of(IDS[0]), plan=IDS[:1])
    play(both, 1, records_of(IDS[1]))
    assert ending(both) is Ending.UNSEALED


def test_worker_that_vanished_is_not_sealed() -> None:
    both = team()
    play(both, 0, [*records_of(IDS[0]), *records_of(IDS[1])])
    assert ending(both, workers=(left(), None)) is Ending.UNSEALED


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_controller_has_to_end_as_all_reports_demand(outcome: str) -> None:
    both, status = team(), int(outcome == "failed")
    play(both, 0, records_of(IDS[0], outcome), status=status)
    play(both, 1, records_of(IDS[1]))
    workers = (left(status), left())
    assert ending(both, controller=status, workers=workers) is Ending.SEALED
    assert ending(both, controller=1 - status, workers=workers) is Ending.BAD_STATUS
    assert ending(both, controller=-9, workers=workers) is Ending.CRASHED


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (left(-11), Ending.CRASHED),
        (left(-9, timed_out=True), Ending.TIMED_OUT),
        (left(0), Ending.UNSEALED),
        (left(0, broken="x"), Ending.FORGED),
    ],
)
def test_worker_that_breaks_is_blamed_with_its_test(end: Exit, expected: Ending) -> None:
    both = team()
    say(
        both,
        0,
        ("start", {"nonce": both.nonces[0]}),
        ("plan", {"ids": list(IDS)}),
        ("begin", {"id": IDS[0], "modules": []}),
    )
    say(
        both,
        1,
        ("start", {"nonce": both.nonces[1]}),
        ("plan", {"ids": list(IDS)}),
        ("begin", {"id": IDS[1], "modules": []}),
    )
    assert not both.ended(0, end, time.monotonic())
    [(member, blamed)] = both.guilty(TeamExit(left(-9), (end, None)))
    assert member.ending(blamed) is expected
    assert member.culprits() == (JOBS[0],)


def test_error_inside_pytest_blames_no_test() -> None:
    both = team()
    play(both, 0, records_of(IDS[0])[:1], status=3)
    assert is_internal(both.members[0], left(3))
    assert not is_internal(both.members[1], left(1))


def test_nonce_of_another_worker_is_refused() -> None:
    both = team()
    with pytest.raises(ValueError, match="another run's nonce"):
        say(both, 0, ("start", {"nonce": both.nonces[1]}))


def test_idle_worker_waits_as_long_as_another_is_busy() -> None:
    both = team()
    for index in (0, 1):
        say(both, index, ("start", {"nonce": both.nonces[index]}), ("plan", {"ids": list(IDS)}), now=1000.0)
    # Nobody runs anything: the controller has the longest limit to say what.
    assert both.deadline == 1000.0 + 50.0
    say(both, 0, ("begin", {"id": IDS[0], "modules": []}), now=1010.0)
    assert (both.members[1].deadline, both.deadline) == (math.inf, 1010.0 + 50.0)
    say(both, 0, ("end", {"id": IDS[0]}), now=1020.0)
    assert both.deadline == 1020.0 + 50.0
    say(both, 1, *records_of(IDS[1]), now=1030.0)
    # Every test has ended.
    assert both.deadline == 1030.0 + limits.EXIT_GRACE_S
