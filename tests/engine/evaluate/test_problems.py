"""Files in HumanEval's format: what is read, and which line an error names."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EvaluationError
from engine.evaluate.problems import bundled_path, load

GOOD = {
    "task_id": "t/0",
    "prompt": 'def one():\n    """1"""\n',
    "entry_point": "one",
    "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
}


def write(folder: Path, *lines: Any, name: str = "p.jsonl") -> Path:
    path = folder / name
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_lines_are_problems_and_other_fields_and_blank_lines_are_passed_over(tmp_path: Path):
    path = write(tmp_path, {**GOOD, "note": 7}, "", "  ", {**GOOD, "task_id": "t/1"})
    assert [problem.task_id for problem in load(path)] == ["t/0", "t/1"]


def test_packed_file_is_unpacked(tmp_path: Path):
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode()))
    assert load(path)[0].canonical_solution == "    return 1\n"


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, "task_id": "t/1", **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in changed().items() if key != name}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((without(name), f"p.jsonl:2: field '{name}' is missing; expected a string") for name in GOOD),
        *((changed(**{name: 3}), f"p.jsonl:2: field '{name}' is a number; expected a string") for name in GOOD),
        (changed(prompt=None), "p.jsonl:2: field 'prompt' is null; expected a string"),
        (changed(test=" \n"), "p.jsonl:2: field 'test' is empty"),
        (changed(task_id="t/0"), "p.jsonl:2: task_id 't/0' is that of line 1 too"),
        (changed(entry_point="a b"), "p.jsonl:2: field 'entry_point' is 'a b'; expected a Python name"),
        (changed(entry_point="two"), "p.jsonl:2: field 'canonical_solution' does not define 'two'"),
        (changed(test="x = 1"), "p.jsonl:2: field 'test' does not define 'check'"),
        (changed(canonical_solution="return 1"), "p.jsonl:2: field 'canonical_solution' is not Python: "),
        (changed(test="def check(:"), "p.jsonl:2: field 'test' is not Python: invalid syntax"),
        ("{", "p.jsonl:2:2: not JSON: Expecting property name enclosed in double quotes"),
        ("[1]", "p.jsonl:2: expected a JSON object, got an array"),
        ("7", "p.jsonl:2: expected a JSON object, got a number"),
        ("[" * 100_000, "p.jsonl:2: not JSON that can be read: RecursionError"),
        ("9" * 5000, "p.jsonl:2: not JSON that can be read: ValueError"),
    ],
)
def test_errors_name_line_and_field(tmp_path: Path, line: Any, message: str):
    with pytest.raises(EvaluationError) as caught:
        load(write(tmp_path, GOOD, line))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.jsonl", b"", "p.jsonl: holds no problem; expected one JSON object per line"),
        ("p.jsonl", b"\n\n\xff", "p.jsonl:3: not UTF-8 (byte 0xff)"),
        ("p.jsonl.gz", b"no gzip", "p.jsonl.gz: cannot be read: Not a gzipped file"),
        ("p.jsonl.gz", gzip.compress(b"x" * 1000)[:-9], "p.jsonl.gz: cannot be read: "),
        ("p.jsonl.gz", gzip.compress(b" " * (65 << 20)), "p.jsonl.gz: longer than 64 MiB; split it"),
    ],
    ids=["empty", "latin-1", "not packed", "cut", "bomb"],
)
def test_files_that_are_no_lines(tmp_path: Path, name: str, data: bytes, message: str):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EvaluationError) as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(message)


def test_pipe_and_folder_are_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("pipe.jsonl", "folder.jsonl"):
        with pytest.raises(EvaluationError, match=rf"^{name}: not a regular file; give a file of JSON lines$"):
            load(tmp_path / name)


def test_missing_file(tmp_path: Path):
    with pytest.raises(EvaluationError, match=r"^none\.jsonl: cannot be read: No such file or directory$"):
        load(tmp_path / "none.jsonl")


def test_bundled_problems():
    problems = load(bundled_path())
    assert 10 <= len(problems) <= 20
    assert len({problem.entry_point for problem in problems}) == len(problems)
