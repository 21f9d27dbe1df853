"""From text to text on the device, through the gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BackendError
from engine.llm import Llm
from engine.models import on_device
from engine.models.on_device import OnDevice
from engine.ops.cuda import launch, products
from support import tiny_qwen2

pytestmark = pytest.mark.usefixtures("large_tiles")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=256, context=64)
    return tiny_qwen2.write_q4_k_m(tmp_path_factory.mktemp("model") / "tiny.gguf", shape)


@pytest.mark.parametrize("precision", on_device.PRECISIONS)
def test_an_answer_and_its_record(path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's tokens; greedy generation asks for no logits once the gate has passed."""
    with Llm.load(path) as cpu:
        expected = cpu.generate("hi", max_tokens=2).token_ids
    with Llm.load(path, backend="cuda", precision=precision) as llm:
        monkeypatch.setattr(OnDevice, "forward", lambda *_, **__: pytest.fail("logits came to the host"))
        llm._started = True
        before = launch.counts()
        result = llm.generate("hi", max_tokens=2)
        assert launch.since(before)["argmax"] == 2
    assert result.token_ids == expected
    record = result.record
    assert (record["backend"], record["precision_mode"]) == ("cuda", precision)
    device = record["device"]
    assert (device["target"], device["precision_mode"]) == ("cuda-interpreted", precision)
    assert device["mode"] == "eager: the interpreter has no graphs"
    assert device["launches"]["argmax"] >= 2
    assert device["memory_needed"]["total"] == sum(
        device["memory_needed"][k] for k in ("weights", "kv_cache", "workspace")
    )
    assert len(record["parity_gate"]) == 5


def test_a_device_that_fails_the_gate_gives_its_memory_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[OnDevice] = []
    release = OnDevice.release
    monkeypatch.setattr(OnDevice, "release", lambda self: (released.append(self), release(self))[1])
    multiply = products.multiply
    monkeypatch.setattr(products, "multiply", lambda x, weight, *, exact: multiply(-x, weight, exact=exact))
    with pytest.raises(BackendError, match="parity with the CPU fails at decode step 0"):
        Llm.load(path, backend="cuda")
    assert [model.facts()["weight_bytes"] for model in released] == [0]
