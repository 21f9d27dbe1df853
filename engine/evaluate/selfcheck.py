"""Known answers through the whole path, before any model's: what is right must pass, and what is wrong must fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.errors import BoxError, VoidError
from engine.evaluate.box import Box, LimitError, Limits
from engine.evaluate.judge import Verdict
from engine.evaluate.problems import Problem
from engine.evaluate.values import PlainValueError

_WRONG: Final = {
    "does nothing": "    pass\n",
    "ends the process": "    raise SystemExit(0)\n",
    "an object equal to everything": (
        "    class Equal:\n"
        "        __eq__ = __lt__ = __gt__ = __le__ = __ge__ = lambda self, other: True\n"
        "        __ne__ = lambda self, other: False\n"
        "    return Equal()\n"
    ),
}
"""Bodies that are right for no problem."""

_NONE: Final = "no isolation for generated code here"
_PROBE_WALL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How many known answers came out as they must: all."""

    good: int
    bad: int


def self_check(problems: Sequence[Problem], judge: Callable[[Problem, str], Verdict]) -> SelfCheck:
    """Judge the known answers of every problem.

    Raises:
        VoidError: one came out wrong, so that no figure would mean anything.
        BoxError: this system does not give the isolation.
    """
    good = bad = 0
    for problem in problems:
        verdict = judge(problem, problem.prompt + problem.canonical_solution)
        if verdict.outcome != "passed":
            reason = f"its canonical solution does not pass: {verdict.outcome}, {verdict.detail}"
            raise VoidError(f"self-check: {problem.task_id}: {reason}; nothing was measured")
        good += 1
        for name, body in _WRONG.items():
            if judge(problem, problem.prompt + body).outcome == "passed":
                raise VoidError(f"self-check: {problem.task_id}: its test passes {name}; nothing was measured")
            bad += 1
    return SelfCheck(good, bad)


def check_process_limit(limits: Limits, *, isolated: bool) -> None:
    """See the limit on processes hold, and their memory watched: for some users and kernels neither is so.

    Raises:
        BoxError: it does not hold.
    """
    with Box(limits, isolated) as box:
        deadline = time.monotonic() + _PROBE_WALL_S
        try:
            box.send({"role": "count"}, deadline)
            counted = box.receive(deadline)
        except (LimitError, PlainValueError) as err:
            raise BoxError(f"{_NONE}: processes could not be counted: {err}") from err
        seen = box.visible_processes()
    processes = (counted or {}).get("processes")
    if not isinstance(processes, int) or processes > limits.processes:
        raise BoxError(f"{_NONE}: {processes} processes ran, the limit is {limits.processes}")
    if seen < processes:
        raise BoxError(f"{_NONE}: {processes} processes ran, and /proc shows {seen}, so their memory has no limit")
