"""A falsifier that claims a GPU has to show launches: whatever ran without one ran on the host, and pv says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.run.child import run_jobs
from pv.schema.run import Job
from pv.schema.settings import Settings
from pv.schema.verdict import Result

ROOT = Path(__file__).resolve().parents[4]

TESTS = f"""
import sys
from unittest import mock
import numpy as np
sys.path.insert(0, {str(ROOT)!r})
from falsifiers.support import cuda

def on_a_gpu():
    return mock.patch.object(cuda.module("target"), "facts", lambda: {{"target": "cuda:sm_90", "device": "H200"}})

def test_numpy_alone(pv):
    with on_a_gpu(), cuda.recorded(pv):
        pv.record("sum", float(np.ones(3).sum()), limit=3)

def test_with_launches(pv):
    with on_a_gpu(), cuda.recorded(pv):
        cuda.module("launch").add_counts({{"q4_k_matvec": 2}})

def test_before_and_after(pv):
    launch = cuda.module("launch")
    launch.add_counts({{"q4_k_matvec": 2}})
    with on_a_gpu(), cuda.recorded(pv):
        pass
    launch.add_counts({{"q4_k_matvec": 2}})

def test_says_nothing(pv):
    pass
"""


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("test_numpy_alone", Result.WRONG_TARGET),
        ("test_with_launches", Result.PASS),
        ("test_before_and_after", Result.WRONG_TARGET),
        ("test_says_nothing", Result.WRONG_TARGET),
    ],
)
def test_no_launches_is_the_wrong_target(tmp_path: Path, name: str, result: Result) -> None:
    (tmp_path / "test_a.py").write_text(TESTS)
    [outcome] = run_jobs(tmp_path, Settings(), [Job("F-1", "c", (f"test_a.py::{name}",), "cuda", 120.0)])
    assert outcome.result is result, outcome.reason
    if result is Result.PASS:
        assert outcome.device == {"target": "cuda:sm_90", "device": "H200", "launches": {"q4_k_matvec": 2}}
