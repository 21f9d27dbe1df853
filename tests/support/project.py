"""Small projects on disk: one contract, one subject, one test, written fresh for a test of ours."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

CONTRACT = """\
id: doubling
version: 1.0.0
kind: kernel
title: Doubling doubles
description: A claim small enough to check by hand.

# a comment that must survive
equations:
  double:
    formula: double(x) = 2 x
    domain: integers
    codomain: even integers

obligations:
  - id: doubles
    type: bound
    equation: double
    property: double(x) differs from 2 x by less than the limit
    tolerance: {metric: max_abs_error, limit: 1.0e-6, unit: "1", reason: integers are exact in binary64}

falsifiers:
  - id: FALSIFY-DOUBLE-001
    refutes: [doubles]
    prediction: double(3) is 6
    test: checks/test_double.py::test_double
    targets: [cpu]
    challenges: [lib.faults:off_by_one]
    if_fails: look at lib/double.py
    timeout_s: 20
"""

SUBJECT = """\
def double(x):
    return 2 * x
"""

FAULTS = """\
from contextlib import contextmanager

from lib import double as subject


@contextmanager
def off_by_one():
    kept = subject.double

    def broken(x):
        return kept(x) + 1

    subject.double = broken
    try:
        yield
    finally:
        subject.double = kept


@contextmanager
def harmless():
    kept = subject.double

    def same(x):
        return kept(x)

    subject.double = same
    try:
        yield
    finally:
        subject.double = kept


@contextmanager
def never_reached():
    yield
"""

TEST = """\
import pytest

from lib import double as subject


@pytest.mark.falsifies("FALSIFY-DOUBLE-001")
def test_double(pv):
    pv.record("max_abs_error", abs(subject.double(3) - 6), limit=1e-6)
"""

PYPROJECT = """\
[tool.pv]
contracts = ["contracts"]
falsifiers = ["checks"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""


def write_project(root: Path, **changes: str) -> Path:
    """A project whose one claim holds.

    Args:
        changes: text of a file by name (contract, subject, faults, test, pyproject), instead of the default.
    """
    files = {
        "contract": ("contracts/doubling-v1.yaml", CONTRACT),
        "subject": ("lib/double.py", SUBJECT),
        "faults": ("lib/faults.py", FAULTS),
        "test": ("checks/test_double.py", TEST),
        "pyproject": ("pyproject.toml", PYPROJECT),
    }
    for name, (path, default) in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(changes.get(name, default)), encoding="utf-8")
    (root / "lib/__init__.py").write_text("", encoding="utf-8")
    return root
