"""A small valid contract as text, and edits of it, for tests of the loader and the command line."""

from __future__ import annotations

VALID = """\
id: rms-norm
version: 1.10.0
kind: kernel
title: RMS norm
description: normalises each row
equations:
  rms:
    formula: y = x / rms(x)
    domain: x in R^D
    codomain: y in R^D
obligations:
  - id: close
    type: bound
    equation: rms
    property: the worst element is near
    tolerance: {metric: max_abs, limit: 1e-3, unit: "1", reason: float32 rounding}
falsifiers:
  - id: FALSIFY-RMS-001
    refutes: [close]
    prediction: no element differs by more than the limit
    test: falsifiers/test_rms.py::test_close
    targets: [cpu]
    if_fails: compare the sums of squares
"""


def edited(old: str, new: str) -> str:
    """VALID with its only `old` replaced."""
    assert VALID.count(old) == 1, old
    return VALID.replace(old, new)


def title(value: str) -> bytes:
    """VALID with another title, line 4, value at column 8."""
    return edited("RMS norm", value).encode()


def limit(value: str) -> bytes:
    """VALID with another limit, line 16, value at column 41."""
    return edited("1e-3", value).encode()


def after(extra: str) -> bytes:
    """VALID with lines after its 23."""
    return (VALID + extra).encode()
