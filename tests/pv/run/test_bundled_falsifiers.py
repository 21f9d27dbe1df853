"""The falsifiers of this repository come to the same with workers: results, measured values, attachments, devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.config import load_settings
from pv.run.child import run_jobs
from pv.schema.run import Job, Outcome
from pv.schema.settings import Settings
from pv.schema.verdict import Result
from pv.workflow.plan import plan
from pv.workflow.select import readable_catalog, select

REPOSITORY = Path(__file__).parents[3]
QUICK = (
    "falsifiers/engine/ops/test_gqa_attention.py",
    "falsifiers/engine/ops/test_rms_norm.py",
    "falsifiers/engine/ops/test_rope.py",
    "falsifiers/engine/ops/test_swiglu.py",
    "falsifiers/engine/quant/test_q4k_dequant.py",
    "falsifiers/engine/quant/test_q6k_dequant.py",
    "falsifiers/engine/quant/test_q8_0_dequant.py",
    "falsifiers/engine/test_traced_is_production.py",
    "falsifiers/engine/tokenizer/test_tokenizer_roundtrip.py",
)
"""Those that need less than a second; what they measure is arithmetic, not time."""


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(REPOSITORY)[1]


@pytest.fixture(scope="module")
def jobs(settings: Settings) -> list[Job]:
    catalog = readable_catalog(REPOSITORY, settings)
    quick = [chosen for chosen in select(catalog, []) if chosen[2].test.split("::")[0] in QUICK]
    return [item.job for item in plan(REPOSITORY, settings, quick, ["cpu"]) if not item.unbound]


def told(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.job, outcome.result, outcome.reason, outcome.values, outcome.attachments, outcome.device,
        outcome.ran_target, outcome.used_model, outcome.tests_begun, outcome.tests_passed,
    )  # fmt: skip


def test_workers_change_no_result(settings: Settings, jobs: list[Job]) -> None:
    assert len(jobs) >= 25
    alone = run_jobs(REPOSITORY, settings, jobs)
    shared = run_jobs(REPOSITORY, settings, jobs, workers=2)
    assert list(map(told, shared)) == list(map(told, alone))
    assert {outcome.result for outcome in alone} == {Result.PASS}
    assert sum(len(outcome.values) for outcome in alone) >= len(jobs)
