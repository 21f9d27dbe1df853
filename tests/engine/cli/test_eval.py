"""`q4k eval` from outside: stdout, stderr, exit code and the report."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.evaluate.problems import bundled_path
from support.isolation import isolation  # noqa: F401 - a fixture
from support.q4k import environment, q4k

ALLOW = "--allow-code-execution"


def entry(number: int, name: str, docstring: str, body: str, *checks: str) -> dict[str, Any]:
    lines = "".join(f"    {check}\n" for check in checks)
    return {
        "task_id": f"t/{number}",
        "prompt": f'def {name}(n):\n    """{docstring}"""\n',
        "entry_point": name,
        "canonical_solution": body,
        "test": f"def check(candidate):\n{lines}",
    }


# The bundled model writes the first, as its card says, and has never heard of the second.
FACTORIAL = entry(
    0, "factorial", "Compute the factorial of a number.", "    return n * factorial(n - 1) if n else 1\n",
    "assert candidate(0) == 1", "assert candidate(5) == 120",
)  # fmt: skip
THIRD = entry(1, "third_side", "Balance the ledger of a bakery.", "    return n + 41\n", "assert candidate(1) == 42")


def write(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in entries))
    return path


def test_code_is_not_run_unless_allowed(tmp_path: Path):
    path = write(tmp_path / "p.jsonl", FACTORIAL)
    ended = q4k("eval", "--teacher", "--humaneval", path)
    assert ended.stderr == ("q4k: the model's code is run to judge it; say --allow-code-execution if you want that\n")
    assert (ended.stdout, ended.code) == ("", 2)


@pytest.mark.usefixtures("isolation")
def test_figure_states_its_parts(tmp_path: Path):
    path = write(tmp_path / "p.jsonl", FACTORIAL, THIRD)
    out = tmp_path / "report.json"
    ended = q4k("eval", "--teacher", "--humaneval", path, "--style", "docstring", ALLOW, "--out", out)
    lines = ended.stdout.splitlines()
    assert lines[0] == "t/0  passed"
    assert lines[1].startswith("t/1  failed  ")
    assert lines[2] == (
        "pass@1 50.0% (1 of 2); failed 1, timeout 0, over a limit 0, void 0; "
        "self-check 2 right and 6 wrong answers told apart"
    )
    assert len(lines) == 3
    assert ended.code == 0
    report = json.loads(out.read_text())
    assert report["schema"] == "q4k.eval/1"
    assert (report["pass_at_1"], report["passed"], report["problems"], report["void"]) == (0.5, 1, 2, 0)
    assert (report["failed"], report["timeout"], report["limit"]) == (1, 0, 0)
    assert report["self_check"] == {"good": 2, "bad": 6}
    assert report["isolated"] is True
    assert report["dataset"] == {
        "file": "p.jsonl",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "asked": 2,
    }
    assert report["limits"] == {
        "cpu_s": 10,
        "wall_s": 15.0,
        "memory_bytes": 2**30,
        "processes": 32,
        "file_bytes": 16 * 2**20,
        "open_files": 64,
        "output_bytes": 2**20,
    }
    assert report["model"]["model"] == "teacher.gguf"
    first = report["results"][0]
    assert (first["task_id"], first["outcome"], first["calls"]) == ("t/0", "passed", 2)
    assert "def factorial" in first["program"]


@pytest.mark.usefixtures("isolation")
def test_json_is_one_object_and_problems_can_be_fewer(tmp_path: Path):
    path = write(tmp_path / "p.jsonl", FACTORIAL, THIRD)
    ended = q4k("eval", "--teacher", "--humaneval", path, "--style", "docstring", ALLOW, "--json", "--problems", "1")
    report = json.loads(ended.stdout)
    assert (report["passed"], report["problems"], report["dataset"]["asked"]) == (1, 1, 1)
    assert ended.code == 0


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"canonical_solution": "    return 7\n"}, "its canonical solution does not pass: failed, AssertionError"),
        ({"test": "def check(candidate):\n    candidate(1)\n"}, "its test passes does nothing"),
    ],
    ids=["good fails", "bad passes"],
)
def test_failed_self_check_voids_the_run(tmp_path: Path, change: dict[str, str], reason: str):
    path = write(tmp_path / "p.jsonl", FACTORIAL, {**THIRD, **change})
    ended = q4k("eval", "--teacher", "--humaneval", path, ALLOW)
    assert ended.stderr.splitlines()[-1] == f"q4k: self-check: t/1: {reason}; nothing was measured"
    assert (ended.stdout, ended.code) == ("", 3)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--problems", "0"], "--problems is 0, must be >= 1"),
        (["--max-tokens", "0"], "--max-tokens is 0, must be >= 1"),
        (["--style", "rhyme"], "no such style 'rhyme'; available: code, docstring, raw"),
        (["--humaneval", "none.jsonl"], "none.jsonl: cannot be read: No such file or directory"),
        (["--out", "no/such/folder/x"], "--out 'no/such/folder/x': no such folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_flags_are_one_line(args: list[str], message: str):
    ended = q4k("eval", "--teacher", ALLOW, *args)
    assert (ended.stdout, ended.stderr, ended.code) == ("", f"q4k: {message}\n", 2)


def test_wrong_line_is_named(tmp_path: Path):
    path = write(tmp_path / "p.jsonl", FACTORIAL, {**THIRD, "test": 5})
    ended = q4k("eval", "--teacher", "--humaneval", path, ALLOW)
    assert ended.stderr == "q4k: p.jsonl:2: field 'test' is a number; expected a string\n"
    assert ended.code == 2


def test_without_isolation_nothing_runs(tmp_path: Path):
    """Namespaces are refused in the box's own process, as a system does that has none."""
    path = write(tmp_path / "p.jsonl", FACTORIAL)
    start = (
        "import sys; sys.path.insert(0, {root!r}); from engine.evaluate import child, namespaces\n"
        "def refuse(): raise PermissionError(1, 'unshare: Operation not permitted')\n"
        "namespaces.enter = refuse; child.main()"
    )
    code = (
        "import sys\n"
        "from engine.evaluate import box\n"
        f"box._START = {start!r}\n"
        f"sys.argv = ['q4k', 'eval', '--teacher', '--humaneval', {str(path)!r}, {ALLOW!r}]\n"
        "from engine.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        "q4k: no isolation for generated code here: [Errno 1] unshare: Operation not permitted"
    )
    assert (done.stdout, done.returncode) == ("", 4)


@pytest.mark.usefixtures("isolation")
def test_bundled_problems_are_the_default():
    ended = q4k("eval", "--teacher", ALLOW, "--problems", "1", "--json", "--style", "docstring")
    report = json.loads(ended.stdout)
    assert report["dataset"]["sha256"] == hashlib.sha256(bundled_path().read_bytes()).hexdigest()
    assert (report["passed"], report["problems"]) == (1, 1)
