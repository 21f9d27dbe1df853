"""Judge generated Python: does it parse, and does it compute the right values in a limited child process?

Two fences stand around code that nobody has read:
  1. the syntax tree: only a few harmless modules, no underscore names, no builtins that reach files or code
  2. the child: `python -I` in an empty folder with an empty environment, limits on processor time, memory, file size
     and open files, a wall-clock limit, and builtins without open, exec, eval, compile, input or a free import

Standard library only.
"""

from __future__ import annotations

import ast
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.teacher.functions import Case

Outcome = Literal["right", "wrong", "refused", "error", "timeout"]

MODULES = frozenset({"math", "itertools", "functools", "collections", "string", "re", "operator", "typing"})
FORBIDDEN = frozenset(
    {"open", "exec", "eval", "compile", "input", "breakpoint", "globals", "locals", "vars", "getattr", "setattr",
    "delattr",
     "memoryview", "help", "exit", "quit"}
)  # fmt: skip

_CPU_S = 2
_MEMORY_BYTES = 512 * 2**20
_FENCE = re.compile(r"^```python[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)

# Runs in the child. Limits are set before the first line of the judged code is compiled.
_HARNESS = """
import builtins, json, resource, sys
job = json.loads(sys.stdin.read())
resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_s"], job["cpu_s"]))
resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
allowed = {name: __import__(name) for name in job["modules"]}
def limited_import(name, *rest, **named):
    if name not in allowed:
        raise ImportError(name)
    return allowed[name]
safe = {k: v for k, v in vars(builtins).items() if k not in job["forbidden"]}
safe["__import__"] = limited_import
safe["print"] = lambda *a, **k: None
out = sys.stdout
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
space = {"__builtins__": safe, "__name__": "judged"}
try:
    exec(compile(job["source"], "judged", "exec"), space)
    text = json.dumps([space[job["name"]](*arguments) for arguments in job["arguments"]])
    text = text if len(text) < 2**20 else json.dumps({"error": "result too long"})
except BaseException as err:
    text = json.dumps({"error": type(err).__name__ + ": " + str(err)[:200]})
out.write(text)
"""


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    detail: str = ""


def python_blocks(text: str) -> list[str]:
    """The sources of all fenced ```python blocks that are closed."""
    return [match.group(1) for match in _FENCE.finditer(text)]


def parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def objection(source: str) -> str | None:
    """Why the source must not run, or None."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        return f"does not parse: {err}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bad = [alias.name for alias in node.names if alias.name not in MODULES]
            if bad:
                return f"line {node.lineno}: imports {bad[0]!r}"
        elif isinstance(node, ast.ImportFrom):
            if node.module not in MODULES or node.level:
                return f"line {node.lineno}: imports from {node.module!r}"
        elif isinstance(node, ast.Name) and (node.id in FORBIDDEN or node.id.startswith("__")):
            return f"line {node.lineno}: uses {node.id!r}"
        elif isinstance(node, ast.Attribute) and (node.attr.startswith("_") or node.attr in {"format", "format_map"}):
            return f"line {node.lineno}: reaches for attribute {node.attr!r}"
    return None


def defined_function(source: str) -> str | None:
    """The name of the last function at the top level."""
    try:
        names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return names[-1] if names else None


def check_function(source: str, cases: Sequence[Case], *, timeout_s: float = 5.0) -> Verdict:
    """Run the last function of source on every case in a limited child.

    Args:
        source: Python text nobody trusts.
        cases: (arguments, expected) of JSON values; expected must not come from source.
    """
    reason = objection(source)
    if reason is not None:
        return Verdict("refused", reason)
    name = defined_function(source)
    if name is None:
        return Verdict("error", "no function at the top level")
    job = {
        "source": source,
        "name": name,
        "arguments": [list(arguments) for arguments, _ in cases],
        "cpu_s": _CPU_S,
        "memory": _MEMORY_BYTES,
        "modules": sorted(MODULES),
        "forbidden": sorted(FORBIDDEN),
    }
    answered = _run_limited(json.dumps(job), timeout_s)
    if answered is None:
        return Verdict("timeout", f"no result within {timeout_s:g} s or {_CPU_S} s of processor time")
    if isinstance(answered, dict):
        return Verdict("error", str(answered.get("error")))
    for (arguments, expected), got in zip(cases, answered, strict=True):
        if not _same(got, expected):
            shown = ", ".join(map(repr, arguments))
            return Verdict("wrong", f"{name}({shown}) gives {got!r}, expected {expected!r}")
    return Verdict("right")


def _run_limited(job: str, timeout_s: float) -> Any:
    """The child's JSON answer; None where a limit ended it."""
    with tempfile.TemporaryDirectory() as empty:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _HARNESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=empty,
            env={},
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = child.communicate(job, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return None
    if child.returncode < 0:
        return None
    try:
        return json.loads(out)
    except ValueError:
        return {"error": f"child ended with code {child.returncode}"}


def _same(got: Any, expected: Any) -> bool:
    """Equal values; True is not 1, and floats may differ in the last digits."""
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(_same, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(_same(got[key], expected[key]) for key in expected)
    return type(got) is type(expected) and bool(got == expected)
