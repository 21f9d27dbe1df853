"""Seeded faults for claims about serving and evaluating.

Each is a context manager without arguments that replaces one function of the engine while it is entered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

Seeded = AbstractContextManager[Any]


def stream_loses_held_text() -> Seeded:
    """What could have become a stop string, and did not, is never sent."""
    from engine.serve.stops import StopFilter

    return mock.patch.object(StopFilter, "finish", return_value="")


@contextmanager
def stream_repeats_a_piece() -> Iterator[None]:
    """The first piece of a stream is sent twice."""
    from engine.serve.replies import Reply

    original = Reply.piece
    seen: set[str] = set()

    def repeated(self: Reply, text: str) -> dict[str, Any]:
        first = self.id not in seen
        seen.add(self.id)
        return original(self, text + text if first else text)

    with mock.patch.object(Reply, "piece", repeated):
        yield


def queue_is_endless() -> Seeded:
    """The bound on waiting requests is a number that nobody reaches."""
    from engine.serve.worker import Worker

    original = Worker.__init__

    def endless(self: Worker, llm: Any, _max_queue: int) -> None:
        original(self, llm, sys.maxsize)

    return mock.patch.object(Worker, "__init__", endless)


@contextmanager
def leaving_is_not_noticed() -> Iterator[None]:
    """A generation goes on to its end although nobody listens."""
    from engine.serve import worker

    class NotToldError(BaseException):
        pass

    with mock.patch.object(worker, "_LeaveError", NotToldError):
        original = worker.Worker._generate

        def deaf(self: worker.Worker, asked: Any, _cancelled: Any, put: Any) -> Any:
            import threading

            return original(self, asked, threading.Event(), put)

        with mock.patch.object(worker.Worker, "_generate", deaf):
            yield


def equal_is_what_says_so() -> Seeded:
    """Values are compared by their own `==`: 1 is True."""
    from engine.evaluate import values

    return mock.patch.object(values, "same", lambda one, other: bool(one == other))


def test_that_never_called_passes() -> Seeded:
    """A test that ended without an error has passed, whatever it did."""
    from engine.evaluate import judge

    original = judge._Trial.run

    def lenient(self: Any, program: str) -> Any:
        verdict = original(self, program)
        return judge.Verdict("passed") if verdict.detail == "the test never called the function" else verdict

    return mock.patch.object(judge._Trial, "run", lenient)


@contextmanager
def box_keeps_the_machines_files() -> Iterator[None]:
    """The box has the machine's root, network and processes; its limits hold."""
    from engine.evaluate import box

    original = box.Box.__init__

    def open_box(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.isolated = False

    with mock.patch.object(box.Box, "__init__", open_box), mock.patch.object(os, "geteuid", return_value=1000):
        yield


def box_has_no_limits() -> Seeded:
    """Time, memory and processes are not limited inside the box."""
    from engine.evaluate.box import Limits

    def none(_: Limits) -> dict[str, int]:
        return {"RLIMIT_CORE": 0}

    return mock.patch.object(Limits, "as_rlimits", none)


def known_answers_are_not_judged() -> Seeded:
    """The self-check says that all came out right, and judges none."""
    from engine.evaluate import run
    from engine.evaluate.selfcheck import SelfCheck

    def unjudged(problems: Sequence[Any], _judge: Any) -> SelfCheck:
        return SelfCheck(len(problems), 3 * len(problems))

    return mock.patch.object(run, "self_check", unjudged)


def code_runs_without_being_allowed() -> Seeded:
    """The command judges as if --allow-code-execution had been said."""
    import inspect

    from engine.cli import eval as command

    original = inspect.unwrap(command.command)

    def allowing(*arguments: Any, **options: Any) -> None:
        original(*arguments, **{**options, "allow_code_execution": True})

    return mock.patch.object(command, "command", allowing)
