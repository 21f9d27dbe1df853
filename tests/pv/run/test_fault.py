"""Whose code running shows that a fault of a package was applied: its own file's, and the package's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pv.run.fault import SeededFault

INIT = "from {package}.rope import turned\n\ndef own():\n    return 1\n"
ROPE = """
from contextlib import nullcontext

def turned():
    return nullcontext()

def wrong():
    assert False
"""
OTHER = "def helper():\n    assert False\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"faults_of_{tmp_path.name}"
    (tmp_path / name).mkdir()
    for file, text in {"__init__.py": INIT.format(package=name), "rope.py": ROPE, "other.py": OTHER}.items():
        (tmp_path / name / file).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def function(module: str, name: str) -> Any:
    return getattr(sys.modules[module], name)


@pytest.mark.parametrize(("file", "name", "counts"), [("rope", "wrong", 1), ("", "own", 1), ("other", "helper", 0)])
def test_code_of_a_fault_is_that_of_its_file_and_of_its_package(
    package: str, file: str, name: str, counts: int
) -> None:
    applied: list[bool] = []
    __import__(f"{package}.other")
    fault = SeededFault(f"{package}:turned", lambda: applied.append(True))
    fault.enter()
    try:
        found = None
        try:
            function(f"{package}.{file}".rstrip("."), name)()
        except AssertionError as err:
            found = err
    finally:
        fault.exit()
    assert len(applied) == counts
    # Of what it raises itself the fault says so; a test in the same file cannot be told from it.
    assert fault.raised(found, "/elsewhere.py") == (file == "rope")
    assert not fault.raised(found, str(sys.modules[f"{package}.rope"].__file__))
