"""Attempts to refute contracts/engine/model-1-ship-v1.yaml."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import pv as package
from falsifiers.support import ship
from falsifiers.support.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.falsifies("FALSIFY-MODEL-1-SHIP-001")
def test_readme_says_what_the_evidence_supports(pv: Recorder) -> None:
    """Refuted by a sentence about CUDA that README lacks or may not have, by a refutation on a GPU that nobody answers
    for, or by a version 2 before CUDA is DISCHARGED.

    Seen failing under readme_is_silent_about_the_gpu, defect_that_readme_hides, defect_that_nobody_answers_for and
    version_2_without_cuda.
    """
    said = ship.known(ROOT, date.today())
    wrong = ship.misstatements((ROOT / "README.md").read_text(encoding="utf-8"), package.__version__, said)
    pv.ran_on({"target": "cpu"})
    pv.record("defects known on CUDA", len(said.defects), unit="defects")
    pv.record("runs on a GPU are known", int(said.ran))
    pv.record("misstatements", len(wrong), limit=0, unit="sentences")
    assert not wrong, wrong[0]
