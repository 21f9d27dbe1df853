"""Attempts to refute contracts/engine/gpu-parity-gate-v1.yaml."""

from __future__ import annotations

from typing import cast

import pytest

from engine.errors import BackendError
from engine.llm import Llm
from engine.models import parity_gate
from engine.models.protocol import Model
from falsifiers.support import cuda, cuda_models, host_device, prompts
from falsifiers.support.recorder import Recorder

STEPS = 5
"""The end of the prompt, and four decode steps."""


@pytest.mark.falsifies("FALSIFY-GPU-PARITY-GATE-001")
def test_no_wrong_device_is_loaded(pv: Recorder) -> None:
    """Refuted by a device with one of four defects that loads, or by a sound one with 8-bit activations that does not.

    One defect shows in decode alone, where a gate that looks at one token sees nothing. Seen failing under
    gate_is_not_asked, gate_probes_one_token and gate_asks_for_the_bits.
    """
    loaded, unexplained = [], []
    for name, defect in host_device.DEFECTS.items():
        try:
            with host_device.in_its_place(**defect), Llm.load(pv.model, backend="cuda"):
                loaded.append(name)
        except BackendError as err:
            unexplained += [] if "parity with the CPU fails at decode step" in str(err) else [str(err)]
    steps, refused = 0, ""
    try:
        with host_device.in_its_place(), Llm.load(pv.model, backend="cuda") as llm:
            steps = len(llm.run_facts()["parity_gate"])
    except BackendError as err:
        refused = str(err)
    pv.ran_on({"target": "cpu"})
    pv.record("wrong devices loaded", len(loaded), limit=0, unit="devices")
    pv.record("refusals without the step", len(unexplained), limit=0, unit="refusals")
    pv.record("wrong devices tried", len(host_device.DEFECTS), limit=4, unit="devices", bound="at_least")
    pv.record("sound devices refused", int(bool(refused)), limit=0, unit="devices")
    pv.record("steps in the record of a sound device", steps, limit=STEPS, unit="steps", bound="at_least")
    assert not loaded, loaded


@pytest.mark.falsifies("FALSIFY-GPU-PARITY-GATE-002")
def test_a_near_tie_is_no_defect(pv: Recorder) -> None:
    """Refuted by a refusal where two tokens are within 1e-5 deviations and the device takes the other one at every
    step, or by none where the other one costs a tenth of a deviation.

    Seen failing under gate_rejects_near_ties and gate_lets_all_pass.
    """
    with Llm.load(pv.model) as llm:
        ids = prompts.ids(llm)
        close = [cast("Model", host_device.Tied(llm.model, gap)) for gap in (1e-5, -1e-5)]
        far = [cast("Model", host_device.Tied(llm.model, gap)) for gap in (0.1, -0.1)]
        choices = sum(_choice(close[0], part) != _choice(close[1], part) for part in (ids, ids[:-1], ids[:-2]))
        passed = _steps_passed(close[0], close[1], ids)
        refused = int(not _steps_passed(far[0], far[1], ids))
    pv.ran_on({"target": "cpu"})
    pv.record("other tokens chosen", choices, limit=3, unit="tokens", bound="at_least")
    pv.record("steps that near ties pass", passed, limit=STEPS, unit="steps", bound="at_least")
    pv.record("wrong choices refused", refused, limit=1, unit="choices", bound="at_least")


def _choice(model: Model, ids: list[int]) -> int:
    return int(model.forward(ids, model.new_cache(len(ids)), last_only=True)[-1].argmax())


def _steps_passed(oracle: Model, candidate: Model, ids: list[int]) -> int:
    """None if it is refused."""
    try:
        return len(parity_gate.require(candidate, oracle, ids, precision="f32"))
    except BackendError:
        return 0


@pytest.mark.falsifies("FALSIFY-GPU-PARITY-GATE-003")
def test_the_gate_refuses_a_wrong_device(pv: Recorder) -> None:
    """Refuted by a model that answers although one of its weight types is misread on the device, or by a sound one
    that is refused.

    Seen failing under gate_lets_all_pass.
    """
    from engine.faults.cuda.quantisation import q4k_nibbles_swapped

    size = cuda_models.extent(pv)
    refused = 0
    with cuda_models.model_under_test(pv) as path, cuda_models.on_cpu(path) as llm, cuda.recorded(pv):
        ids = cuda_models.question(llm, 0, size.tokens)
        with cuda_models.on_device(path) as model:
            passed = len(parity_gate.require(model, llm.model, ids, steps=1))
        with q4k_nibbles_swapped(), cuda_models.on_device(path) as model:
            try:
                parity_gate.require(model, llm.model, ids, steps=1)
            except BackendError:
                refused = 1
    pv.record("steps that a sound device passes", passed, limit=2, unit="steps", bound="at_least")
    pv.record("wrong devices refused", refused, limit=1, unit="devices", bound="at_least")
