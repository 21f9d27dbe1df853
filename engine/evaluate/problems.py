"""Problems in HumanEval's format: JSON lines, one problem each.

    task_id              its name, unique in the file
    prompt               Python up to and including a function's signature and docstring
    entry_point          the function's name
    canonical_solution   the body that is known to be right
    test                 Python that defines check(candidate), which raises if the function is wrong

Other fields are allowed and not read. A `.gz` file is unpacked.
Source: HumanEval.jsonl.gz of openai/human-eval.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, Final

from engine.errors import EvaluationError
from engine.evaluate.source import functions
from engine.gguf.display import escape

_MAX_BYTES: Final = 64 << 20
_ASCII_SPACE: Final = " \t\r"


@dataclass(frozen=True, slots=True)
class Problem:
    """One function to write."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


def bundled_path() -> Path:
    """The problems that come with the engine.

    Raises:
        EvaluationError: this installation was built without them.
    """
    path = Path(__file__).resolve().parent.parent / "assets" / "problems.jsonl"
    if not path.is_file():
        raise EvaluationError("problems.jsonl: not part of this installation; give a file with --humaneval")
    return path


def load(path: str | PathLike[str]) -> list[Problem]:
    """All problems of a file, in its order.

    Raises:
        EvaluationError: a line is not a problem; the message names file, line and field.
    """
    path = Path(path)
    shown = escape(path.name)
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(_text(path, shown).split("\n"), 1):
        if not line.strip(_ASCII_SPACE):
            continue
        where = f"{shown}:{number}"
        problem = _problem(where, line)
        if problem.task_id in lines:
            first = lines[problem.task_id]
            raise EvaluationError(f"{where}: task_id {problem.task_id!r} is that of line {first} too")
        lines[problem.task_id] = number
        problems.append(problem)
    if not problems:
        raise EvaluationError(f"{shown}: holds no problem; expected one JSON object per line")
    return problems


def _text(path: Path, shown: str) -> str:
    if path.exists() and not path.is_file():  # a pipe would be waited for, and a device may never end
        raise EvaluationError(f"{shown}: not a regular file; give a file of JSON lines")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise EvaluationError(f"{shown}: cannot be read: {escape(reason)}") from err
    if len(data) > _MAX_BYTES:
        raise EvaluationError(f"{shown}: longer than {_MAX_BYTES >> 20} MiB; split it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise EvaluationError(f"{shown}:{line}: not UTF-8 (byte {data[err.start]:#04x})") from err


def _problem(where: str, line: str) -> Problem:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as err:
        raise EvaluationError(f"{where}:{err.colno}: not JSON: {err.msg}") from err
    except (ValueError, RecursionError) as err:
        raise EvaluationError(f"{where}: not JSON that can be read: {type(err).__name__}") from err
    if not isinstance(entry, dict):
        raise EvaluationError(f"{where}: expected a JSON object, got {_json_name(entry)}")
    texts: dict[str, str] = {}
    for name in (each.name for each in fields(Problem)):
        if name not in entry:
            raise EvaluationError(f"{where}: field {name!r} is missing; expected a string")
        if not isinstance(entry[name], str):
            raise EvaluationError(f"{where}: field {name!r} is {_json_name(entry[name])}; expected a string")
        if not entry[name].strip():
            raise EvaluationError(f"{where}: field {name!r} is empty")
        texts[name] = entry[name]
    problem = Problem(**texts)
    if not re.fullmatch(r"[^\W\d]\w*", problem.entry_point):
        raise EvaluationError(f"{where}: field 'entry_point' is {problem.entry_point!r}; expected a Python name")
    _check_python(where, problem)
    return problem


def _check_python(where: str, problem: Problem) -> None:
    """The known solution defines the function, and the test defines check."""
    for field, source, name in (
        ("canonical_solution", problem.prompt + problem.canonical_solution, problem.entry_point),
        ("test", problem.test, "check"),
    ):
        try:
            defined = functions(source)
        except SyntaxError as err:
            raise EvaluationError(f"{where}: field {field!r} is not Python: {escape(err.msg)}") from err
        if name not in defined:
            raise EvaluationError(f"{where}: field {field!r} does not define {name!r}")


def _json_name(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "an object",
        str: "a string",
    }
    return names.get(type(value), "null")
