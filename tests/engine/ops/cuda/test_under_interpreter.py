"""Runs the tests of `interpreted/` under Triton's interpreter."""

from __future__ import annotations

from pathlib import Path

from support.interpreter import run_interpreted


def test_kernels_under_the_interpreter() -> None:
    run_interpreted(Path(__file__).parent / "interpreted", at_least=250)
