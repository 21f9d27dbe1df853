"""The verdict on one program, reached here from values: neither the program nor its printing can state it.

The program runs in one box and the problem's test in another. A call that the test makes travels here and on as plain
arguments; the value that comes back is compared here, type-strictly, and handed to the test as plain data. Each call
carries a fresh nonce that its answer must repeat, so an answer given before the question counts for nothing.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from engine.evaluate import values
from engine.evaluate.box import Box, LimitError, Limits
from engine.evaluate.problems import Problem
from engine.evaluate.values import PlainValueError

Outcome = Literal["passed", "failed", "timeout", "limit"]
"""failed: wrong, or it ended; timeout: processor or wall time; limit: memory or output."""

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

# The test is in the file, and may send long arguments.
_TEST_OUTPUT_BYTES: Final = 64 << 20
_KILLED: Final = 128 + 9  # as the kernel ends what has used up its processor time


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one program."""

    outcome: Outcome
    detail: str = ""
    """One line; empty for a pass."""
    calls: int = 0
    """Values that the test saw."""


class _EndedError(Exception):
    """The verdict is reached."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome: Outcome = outcome


def judge(
    problem: Problem,
    program: str,
    *,
    limits: Limits | None = None,
    isolated: bool = True,
    hidden: tuple[str, ...] = (),
) -> Verdict:
    """Run a program against the test of a problem.

    Args:
        program: Python that should define the problem's function.
        isolated: False where no namespaces are to be had; only limits bind the program then.
        hidden: folders that hold the answers.

    Raises:
        BoxError: this system does not give the isolation.
    """
    limits = limits or Limits()
    with (
        Box(limits, isolated, hidden) as answer,
        Box(replace(limits, output_bytes=_TEST_OUTPUT_BYTES), isolated, hidden) as test,
    ):
        return _Trial(problem, answer, test, time.monotonic() + limits.wall_s).run(program)


class _Trial:
    def __init__(self, problem: Problem, answer: Box, test: Box, deadline: float) -> None:
        self._problem = problem
        self._answer = answer
        self._test = test
        self._deadline = deadline
        self._nonce = secrets.token_hex(16)
        self._calls = 0

    def run(self, program: str) -> Verdict:
        name = self._problem.entry_point
        known = self._problem.prompt + self._problem.canonical_solution
        try:
            self._answer.send({"role": "answer", "source": program, "name": name}, self._deadline)
            job = {"role": "test", "source": known, "name": name, "test": self._problem.test, "nonce": self._nonce}
            self._test.send(job, self._deadline)
            while True:
                self._test.send(self._reply(self._heard(self._test, self._nonce, "test")), self._deadline)
        except _EndedError as end:
            if end.outcome == "passed" and not self._calls:
                return Verdict("failed", "the test never called the function")
            return Verdict(end.outcome, str(end), self._calls)

    def _reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the test is told; `_EndedError` once it has ended."""
        if message.get("passed") is True:
            raise _EndedError("passed", "")
        if "failed" in message:
            raise _EndedError("failed", _line(message["failed"]))
        if "compare" in message:
            try:
                one, other = (values.decode(part) for part in message["compare"])
            except PlainValueError as err:
                raise _EndedError("failed", f"the test compares what is no plain value: {err}") from err
            return {"value": values.same(one, other)}
        return self._called(message["call"])

    def _called(self, call: Any) -> dict[str, Any]:
        nonce = secrets.token_hex(16)
        try:
            self._answer.send({"call": call, "nonce": nonce}, self._deadline)
        except LimitError as err:
            raise _EndedError("timeout", "the completion does not take its arguments") from err
        message = self._heard(self._answer, nonce, "completion")
        self._calls += 1
        if "raised" in message:
            name, text = (*map(_line, list(message["raised"])), "", "")[:2]
            return {"raised": [name, text]}
        try:
            return {"value": values.encode(values.decode(message.get("value")))}
        except PlainValueError as err:
            raise _EndedError("failed", f"the completion's {err}") from err

    def _heard(self, box: Box, nonce: str, who: str) -> dict[str, Any]:
        try:
            message = box.receive(self._deadline)
        except LimitError as err:
            if str(err) == "timeout":
                raise _EndedError("timeout", f"the {who} did not answer in time") from err
            raise _EndedError("limit", f"the {who} is over its limit of {err}") from err
        except PlainValueError as err:
            raise _EndedError("failed", f"the {who} said a {err}") from err
        if message is None:
            code = box.code()
            if code in (_KILLED, -9):
                raise _EndedError("timeout", f"the {who} was killed, as for its processor time")
            raise _EndedError("failed", f"the {who} ended with code {code} and no value")
        if message.get("nonce") != nonce:
            raise _EndedError("failed", f"the {who} said something without the nonce it was given")
        return message


def _line(text: object) -> str:
    return " ".join(str(text).split())[:300]
