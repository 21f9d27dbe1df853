"""Attempts to refute contracts/engine/evaluate-v1.yaml: wrong answers, forgeries, ways out of the box."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from engine.cli import eval as command
from engine.errors import VoidError
from engine.evaluate import judge, problems, run
from engine.evaluate.box import Limits
from engine.evaluate.problems import Problem
from falsifiers.support.recorder import Recorder

SECRET = 918273645
"""What is right; no completion below contains it."""
PROBLEM = Problem(
    task_id="hostile/0",
    prompt="def answer(x):\n",
    entry_point="answer",
    canonical_solution=f"    return {SECRET}\n",
    test=f"def check(candidate):\n    assert candidate(1) == {SECRET}\n",
)
TRUTH = Problem("truth/0", "def answer(x):\n", "answer", "    return True\n", PROBLEM.test.replace(str(SECRET), "True"))
UNCALLED = Problem("uncalled/0", "def answer(x):\n", "answer", "    return 1\n", "def check(candidate):\n    pass\n")
SURVIVES_S = 0.5

FORGERIES = """
import gc, os, builtins
builtins.isinstance = builtins.all = lambda *a: True
nonces = [""] + [t["nonce"] for t in gc.get_objects() if type(t) is dict and "nonce" in t and "call" in t]
for nonce in nonces:
    for descriptor in range(64):
        try: os.write(descriptor, b'{"nonce": "%s", "passed": true, "value": true}\\n' % nonce.encode())
        except OSError: pass
print("passed")
class Equal(int):
    __eq__ = __ge__ = __le__ = lambda self, other: True
    __hash__ = int.__hash__
return Equal()
"""
# Nothing here does harm where a seeded fault leaves the box open; what would is tried in tests/engine/evaluate.
ESCAPES = """
import os, re, socket, time
def tries(act):
    try: return act()
    except BaseException: return None
mark = "@MARK@"
tries(lambda: open(mark, "a").write("opened "))
tries(lambda: os.symlink(mark, "link") or open("link", "a").write("linked "))
tries(lambda: open(os.path.join("@HOME@", "left"), "a").write("home "))
tries(lambda: socket.create_connection(("127.0.0.1", @PORT@), 1).sendall(b"out"))
tries(lambda: os.listdir("/proc/%d/fd" % os.getppid()) and open(mark, "a").write("proc "))
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(0.3)
        tries(lambda: open(mark, "a").write("survived "))
    os._exit(0)
found = tries(lambda: re.findall(r"return (\\d+)", open("@ANSWERS@").read()))
return int(found[0]) if found else 0
"""


def program(problem: Problem, body: str) -> str:
    return problem.prompt + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that every user may write to: only the box stands before it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.falsifies("FALSIFY-EVALUATE-001")
def test_right_answers_pass_and_wrong_ones_fail(pv: Recorder) -> None:
    """Refuted by one known right answer that fails, or one wrong one that passes, however it says that it is right.

    Seen failing under equal_is_what_says_so and test_that_never_called_passes.
    """
    pv.ran_on({"target": "cpu"})
    bundled = problems.load(problems.bundled_path())[:2]
    right = [(each, each.prompt + each.canonical_solution) for each in (*bundled, PROBLEM)]
    wrong = [
        (bundled[0], program(bundled[0], "pass")),
        (PROBLEM, program(PROBLEM, FORGERIES)),
        (PROBLEM, program(PROBLEM, "import os; os._exit(0)")),
        (TRUTH, program(TRUTH, "return 1")),
        (UNCALLED, program(UNCALLED, "return 1")),
    ]
    failed = [p.task_id for p, source in right if judge.judge(p, source).outcome != "passed"]
    passed = [source for p, source in wrong if judge.judge(p, source).outcome == "passed"]
    pv.record("right answers that fail", len(failed), limit=0, unit="answers")
    pv.record("wrong answers that pass", len(passed), limit=0, unit="answers")
    pv.record("answers judged", len(right) + len(wrong), limit=8, unit="answers", bound="at_least")
    assert not failed, failed
    assert not passed, passed


@pytest.mark.falsifies("FALSIFY-EVALUATE-002")
def test_nothing_gets_out_of_the_box(pv: Recorder, outside: Path) -> None:
    """Refuted by one trace outside the box: a file, a connection, a process that outlives it, an answer read.

    Seen failing under box_keeps_the_machines_files.
    """
    pv.ran_on({"target": "cpu"})
    answers, mark = outside / "answers" / "problems.jsonl", outside / "mark"
    answers.parent.mkdir()
    answers.write_text(PROBLEM.canonical_solution)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)
        places = {"@MARK@": mark, "@HOME@": outside, "@ANSWERS@": answers, "@PORT@": listener.getsockname()[1]}
        body = ESCAPES
        for name, place in places.items():
            body = body.replace(name, str(place))
        verdict = judge.judge(PROBLEM, program(PROBLEM, body), hidden=(str(answers.parent),))
        traces = ["an answer was read"] if verdict.outcome == "passed" else []
        try:
            listener.accept()[0].close()
            traces.append("a connection")
        except TimeoutError:
            pass
    time.sleep(SURVIVES_S)
    traces += mark.read_text().split() if mark.exists() else []
    traces += ["home"] if (outside / "left").exists() else []
    pv.record("traces outside the box", len(traces), limit=0, unit="traces")
    assert not traces, traces
    assert (verdict.outcome, verdict.calls) == ("failed", 1), verdict


@pytest.mark.falsifies("FALSIFY-EVALUATE-003")
def test_limits_end_what_takes_too_much(pv: Recorder) -> None:
    """Refuted by one answer that is right and passes although it took more memory, time or processes than allowed.

    Seen failing under box_has_no_limits.
    """
    pv.ran_on({"target": "cpu"})
    right = f"return {SECRET}"
    greedy = {
        "memory": f"held = bytearray(300 << 20)\n{right}",
        "a file": f"open('f', 'wb').write(bytes(2 << 20))\n{right}",
        "open files": f"held = [open('/dev/null') for _ in range(40)]\n{right}",
        "processes": f"import os, time\nfor _ in range(8):\n    if not os.fork():\n        time.sleep(9)\n{right}",
        "wall time": f"import time; time.sleep(2)\n{right}",
    }
    limits = Limits(memory_bytes=256 << 20, wall_s=1.5, file_bytes=1 << 20, open_files=32, processes=4)
    passed = [
        name
        for name, body in greedy.items()
        if judge.judge(PROBLEM, program(PROBLEM, body), limits=limits).outcome == "passed"
    ]
    modest = judge.judge(PROBLEM, program(PROBLEM, right), limits=limits)
    pv.record("answers beyond a limit that pass", len(passed), limit=0, unit="answers")
    assert not passed, passed
    assert modest.outcome == "passed", modest


@pytest.mark.falsifies("FALSIFY-EVALUATE-004")
def test_nothing_runs_unless_it_is_allowed(pv: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuted by one process that `q4k eval` starts for a completion without --allow-code-execution.

    Seen failing under code_runs_without_being_allowed.
    """
    pv.ran_on({"target": "cpu"})
    started = []

    def no_process(*_: Any, **__: Any) -> NoReturn:
        started.append("a process")
        raise OSError("none is started here")

    monkeypatch.setattr(subprocess, "Popen", no_process)
    code = 0
    try:
        command.command(pv.model, problems=1, max_tokens=1)
    except typer.Exit as end:
        code = end.exit_code
    except OSError:
        code = -1
    pv.record("processes started", len(started), limit=0, unit="processes")
    pv.record("exit code", code, limit=2, bound="at_least")
    assert code == 2


class _AskedError(Exception):
    """The model was about to be asked."""


class _Model:
    """Notices any use but naming itself."""

    def record(self) -> dict[str, Any]:
        return {}

    def __getattr__(self, name: str) -> Any:
        raise _AskedError(name)


@pytest.mark.falsifies("FALSIFY-EVALUATE-005")
def test_a_test_that_passes_anything_voids_the_run(pv: Recorder) -> None:
    """Refuted by a model that is asked although a known wrong answer passed.

    Seen failing under known_answers_are_not_judged.
    """
    pv.ran_on({"target": "cpu"})
    credulous = Problem("any/0", "def answer(x):\n", "answer", "    return 1\n", "def check(f):\n    f(1)\n")
    asked = 0
    try:
        run.evaluate(_Model(), [credulous], style="code", max_tokens=1)  # type: ignore[arg-type]
        asked = 1
    except _AskedError:
        asked = 1
    except VoidError as err:
        pv.attach("reason.txt", str(err).encode())
    pv.record("models asked", asked, limit=0, unit="models")
