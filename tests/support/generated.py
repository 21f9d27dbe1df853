"""Projects of any size for benchmarks: contracts of 4 KB with four falsifiers each, and the tests that they name.

    contracts/part-000/claim-00000-v1.yaml    5 obligations, 4 falsifiers; depends on two earlier ones
    checks/part_000/test_000.py               the tests of ten contracts, each marked with its falsifier

Everything is bound and nothing is found; no two contracts have a sentence in common.
"""

from __future__ import annotations

from pathlib import Path

FALSIFIERS = 4
"""Per contract."""
_PER_FILE = 10
"""Contracts whose tests share a file."""
_PER_FOLDER = 100
"""Contracts in a folder."""

_PYPROJECT = """\
[tool.pv]
contracts = ["contracts"]
falsifiers = ["checks"]
import-mode = "importlib"

[tool.pytest.ini_options]
pythonpath = ["."]
"""

_FAULTS = """\
from contextlib import contextmanager


@contextmanager
def wrong_sign():
    yield
"""

_HEAD = """\
id: claim-{n:05d}
version: 1.2.0
kind: kernel
title: Operation {n} equals its definition on every shape that a model uses
description: >-
  Operation {n} is computed block by block with eight accumulators, and its definition sums from left to right; both
  are the same function up to rounding, whatever the shape.
references:
  - https://example.org/definitions/operation-{n}
depends_on: [{depends}]

equations:
  forward-{n}:
    formula: y[t, i] = sum over j of w[i, j] * x[t, j] + b[i], for every t < T and i < D, in the order of operation {n}
    domain: x in float32^(T, D), w in float32^(D, D), b in float32^D; 0 <= T <= 4096, D a multiple of 32
    codomain: y in float32^(T, D)
    invariants:
      - row t of y depends on row t of x alone, for operation {n}
      - no value of x is changed by operation {n}
    source: definition of operation {n}, equation 4

obligations:
  - id: reads-only-its-rows
    type: safety
    equation: forward-{n}
    property: nothing outside the rows that operation {n} was given is read
"""

_OBLIGATION = """\
  - id: part-{k}
    type: bound
    equation: forward-{n}
    property: part {k} of operation {n} differs from its definition by less than the limit, row by row
    tolerance:
      metric: largest absolute error of an element
      limit: 1.0e-5
      unit: "1"
      reason: sqrt(4096) rounding steps of a float32 sum, 64 * 2^-24, times the largest element of part {k} of {n}
"""

_FALSIFIER = """\
  - id: FALSIFY-{n:05d}-{k}
    refutes: [part-{k}, reads-only-its-rows]
    prediction: no element of part {k} of operation {n} differs by more than the limit over 64 random rows
    test: checks/part_{folder:03d}/test_{file:03d}.py::test_part_{k}_of_{n:05d}
    targets: [cpu]
{challenges}    if_fails: compare the partial sums of operation {n}; the first that differs names part {k}
    timeout_s: 60
"""

_TEST = """\
@pytest.mark.falsifies("FALSIFY-{n:05d}-{k}")
def test_part_{k}_of_{n:05d}(pv):
    rows = [float(row) for row in range(4)]
    pv.record("max_abs", max(rows) - 3.0, limit=1e-5)
    assert sorted(rows) == rows


"""


def write_catalog(root: Path, contracts: int, *, challenged: bool = True) -> Path:
    """A project with that many contracts; the same for every call with the same arguments.

    Args:
        challenged: every falsifier names a fault.
    """
    _write(root / "pyproject.toml", _PYPROJECT)
    _write(root / "lib/__init__.py", "")
    _write(root / "lib/faults.py", _FAULTS)
    for first in range(0, contracts, _PER_FILE):
        numbers = range(first, min(first + _PER_FILE, contracts))
        tests = "".join(_TEST.format(n=n, k=k) for n in numbers for k in range(FALSIFIERS))
        folder, file = _place(first)
        _write(root / f"checks/part_{folder:03d}/test_{file:03d}.py", f"import pytest\n\n\n{tests.rstrip()}\n")
        for n in numbers:
            _write(root / f"contracts/part-{folder:03d}/claim-{n:05d}-v1.yaml", contract(n, challenged=challenged))
    return root


def contract(n: int, *, challenged: bool = True) -> str:
    """The text of contract number `n`."""
    challenges = "    challenges: [lib.faults:wrong_sign]\n" if challenged else ""
    folder, file = _place(n)
    depends = ", ".join(f"claim-{other:05d}" for other in dict.fromkeys((n // 2, n // 3)) if other < n)
    return (
        _HEAD.format(n=n, depends=depends)
        + "".join(_OBLIGATION.format(n=n, k=k) for k in range(FALSIFIERS))
        + "\nfalsifiers:\n"
        + "".join(
            _FALSIFIER.format(n=n, k=k, folder=folder, file=file, challenges=challenges) for k in range(FALSIFIERS)
        )
    )


def _place(n: int) -> tuple[int, int]:
    """Folder and file of the tests of contract number `n`."""
    return n // _PER_FOLDER, n % _PER_FOLDER // _PER_FILE


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
