"""Completions that attack: none is counted as right, and none does anything outside its box."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.evaluate.box import Limits
from engine.evaluate.judge import judge
from engine.evaluate.problems import Problem
from support import hostile_completions
from support.isolation import isolation  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("isolation")

LIMITS = Limits(cpu_s=1, wall_s=1.5)
SECRET = 918273645
"""What is right; no completion contains it."""

PROBLEM = Problem(
    task_id="hostile/0",
    prompt='def answer(x):\n    """Return a number that only the test knows."""\n',
    entry_point="answer",
    canonical_solution=f"    return {SECRET}\n",
    test=f"def check(candidate):\n    assert candidate(1) == {SECRET}\n    assert candidate(2) == {SECRET}\n",
)
LEFT_BEHIND = ".q4k-hostile-completion"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        yield server


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that every user may write to: only the box stands before it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def descendants() -> set[str]:
    """Command lines of processes that run a box, of any user."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes()
        except OSError:
            continue
        if b"engine.evaluate.child" in line:
            found.add(f"{place.parent.name} {line[:80]!r}")
    return found


def test_there_are_at_least_40():
    assert len(hostile_completions.NAMES) >= 40
    assert len(hostile_completions.NAMES) == len(set(hostile_completions.NAMES))


@pytest.mark.parametrize("name", hostile_completions.NAMES)
def test_hostile_completion_gains_nothing(name: str, outside: Path, listener: socket.socket):
    """Seen failing with the body `return 918273645`, and with a box that keeps the machine's root or network."""
    before = descendants()
    mark = outside / "mark"
    (outside / "answers").mkdir()
    (outside / "answers" / "problems.jsonl").write_text(json.dumps(asdict(PROBLEM)))
    body = hostile_completions.completions(
        mark=str(mark),
        answers=str(outside / "answers"),
        home=str(Path.home()),
        name=LEFT_BEHIND,
        port=listener.getsockname()[1],
    )[name]
    start = time.monotonic()
    verdict = judge(PROBLEM, PROBLEM.prompt + body, limits=LIMITS, hidden=(str(outside / "answers"),))
    took_s = time.monotonic() - start
    assert verdict.outcome in ("failed", "timeout", "limit")
    assert verdict.detail
    assert "\n" not in verdict.detail
    assert took_s < 20
    with pytest.raises(TimeoutError):
        listener.accept()
    assert not mark.exists()
    assert not (Path.home() / LEFT_BEHIND).exists()
    deadline = time.monotonic() + 10
    while (left := descendants() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left
    assert not mark.exists()
    assert (outside / "answers" / "problems.jsonl").exists()


def test_the_right_answer_passes_under_the_same_limits():
    verdict = judge(PROBLEM, PROBLEM.prompt + PROBLEM.canonical_solution, limits=LIMITS)
    assert (verdict.outcome, verdict.detail, verdict.calls) == ("passed", "", 2)
