"""The mistakes of the project's story, made again: the bound falsifier of a contract catches each of them.

Each is planted by `pv`'s own challenge machinery, in a process of its own, into the subject or into what measures it.
The table of contracts/README.md says which; where the mistake was in the measuring, what it made people believe is
shown here as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from engine.errors import BackendError
from engine.llm import Llm
from engine.models import load_model, parity_gate
from engine.models.protocol import Model
from falsifiers.support import host_device, prompts, story_faults, swiglu_band
from pv.challenge import challenge_jobs
from pv.config import load_settings
from pv.schema.run import ChallengeRun
from pv.schema.verdict import ChallengeOutcome
from pv.workflow.plan import plan
from pv.workflow.select import readable_catalog, select

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "contracts" / "README.md"
HERE = Path(__file__).relative_to(REPOSITORY).as_posix()


@dataclass(frozen=True)
class Row:
    """One line of the story."""

    falsifier: str
    fault: str
    target: str = "cpu"


STORY = {
    "another-answer-on-the-gpu": Row(
        "FALSIFY-CPU-VS-GPU-003", "engine.faults.cuda:q4k_nibbles_swapped", "cuda-interpreted"
    ),
    "traced-is-not-production": Row("FALSIFY-TRACE-001", "falsifiers.support.faults:tap_runs_another_forward"),
    "std-ratio-over-other-tokens": Row(
        "FALSIFY-FFN-SWIGLU-BAND-001", "falsifiers.support.story_faults:swiglu_seen_for_the_last_token_only"
    ),
    "outputs-cut-at-16-tokens": Row("FALSIFY-PROMPT-SENSITIVITY-001", "engine.faults:output_cut_at_16_tokens"),
    "silent-fallback": Row("FALSIFY-NO-GPU-002", "falsifiers.support.faults:silent_fallback"),
    "fallback-not-told": Row("FALSIFY-NO-GPU-003", "falsifiers.support.story_faults:fallback_is_not_told"),
    "one-token-parity-probe": Row(
        "FALSIFY-GPU-PARITY-GATE-001", "falsifiers.support.story_faults:gate_probes_one_token"
    ),
    "gate-rejects-a-near-tie": Row(
        "FALSIFY-GPU-PARITY-GATE-002", "falsifiers.support.story_faults:gate_rejects_near_ties"
    ),
    "int8-outlier-channel": Row(
        "FALSIFY-CPU-INTEGER-005", "falsifiers.support.story_faults:one_scale_for_a_row_of_activations"
    ),
    "defect-not-in-the-documentation": Row(
        "FALSIFY-MODEL-1-SHIP-001", "falsifiers.support.story_faults:defect_that_readme_hides"
    ),
}
"""By the name of the row, which the table of contracts/README.md has as well."""


@pytest.fixture(scope="module")
def caught() -> dict[str, ChallengeRun]:
    """What became of each planted mistake."""
    settings = load_settings(REPOSITORY)[1]
    catalog = readable_catalog(REPOSITORY, settings)
    found: dict[str, ChallengeRun] = {}
    for target in {row.target for row in STORY.values()}:
        rows = {row.falsifier: (name, row.fault) for name, row in STORY.items() if row.target == target}
        jobs = [item.job for item in plan(REPOSITORY, settings, select(catalog, list(rows)), [target])]
        assert {job.falsifier for job in jobs} == set(rows)
        batch = [(job, [rows[job.falsifier][1]]) for job in jobs]
        for job, [run] in challenge_jobs(REPOSITORY, settings, batch, workers=2):
            found[rows[job.falsifier][0]] = run
    return found


@pytest.mark.parametrize("name", STORY)
def test_the_contract_catches_the_mistake(caught: dict[str, ChallengeRun], name: str) -> None:
    assert caught[name].outcome is ChallengeOutcome.CAUGHT, caught[name].reason


@pytest.mark.parametrize(("name", "row"), STORY.items(), ids=list(STORY))
def test_the_contract_declares_the_challenge(name: str, row: Row) -> None:
    catalog = readable_catalog(REPOSITORY, load_settings(REPOSITORY)[1])
    [(_, contract, falsifier)] = select(catalog, [row.falsifier])
    assert row.fault in [challenge.fault for challenge in falsifier.challenges]
    line = next((line for line in TABLE.read_text(encoding="utf-8").splitlines() if f"`{name}`" in line), "")
    for said in (f"`{contract.id}`", f"`{row.falsifier}`", f"`{row.fault.partition(':')[2]}`", f"`{HERE}`"):
        assert said in line, f"contracts/README.md, row {name}: no {said}"


def test_the_table_has_no_other_rows() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert re.findall(rf"^\|.*\| `([a-z0-9-]+)` in `{re.escape(HERE)}` \|$", text, re.MULTILINE) == list(STORY)


def test_a_ratio_over_other_tokens_accuses_the_innocent() -> None:
    """One model beside itself: over the same tokens each ratio is 1, over a prompt and its last token one leaves the
    band of 0.5 to 2."""
    with Llm.load() as llm:
        ids = prompts.long_ids(llm, 16)
        whole = swiglu_band.spread(llm.model, ids)
        same = swiglu_band.band(swiglu_band.spread(llm.model, ids), whole)
        with story_faults.swiglu_seen_for_the_last_token_only():
            first, second = (swiglu_band.spread(llm.model, ids) for _ in range(2))
    other = swiglu_band.band(second, first)
    assert (same.smallest, same.largest, same.unequal) == (1.0, 1.0, 0)
    assert not 0.5 <= other.smallest <= other.largest <= 2.0
    assert other.unequal == other.layers, "the samples of both sides are not the same, and that shows"


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    with Llm.load() as loaded:
        yield loaded


def test_one_token_sees_nothing_of_a_broken_decode(llm: Llm) -> None:
    """A device that is right about the prompt and wrong from the first decode step on."""
    device = host_device.HostDevice(llm.file, load_model, **host_device.DEFECTS["decode only"])
    ids = prompts.ids(llm)
    assert len(parity_gate.require(device, llm.model, ids, steps=0)) == 1
    with pytest.raises(BackendError, match="parity with the CPU fails at decode step 1: "):
        parity_gate.require(device, llm.model, ids)


def test_a_strict_gate_refuses_a_sound_device_at_a_near_tie(llm: Llm) -> None:
    """Both sides have the two tokens within 1e-5 deviations, and each takes another one."""
    ids = prompts.ids(llm)
    ours, theirs = (cast("Model", host_device.Tied(llm.model, gap)) for gap in (1e-5, -1e-5))
    assert all(step.lost > 0 for step in parity_gate.require(theirs, ours, ids, precision="f32"))
    with story_faults.gate_rejects_near_ties(), pytest.raises(BackendError, match="fails at decode step 0: "):
        parity_gate.require(theirs, ours, ids, precision="f32")
