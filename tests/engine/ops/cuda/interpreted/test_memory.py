"""Device memory is accounted for exactly, and a failed allocation leaves the process usable or the model dead.

Kernels are not started here: what is allocated does not depend on them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from engine import quant
from engine.errors import BackendError
from engine.gguf.reader import GgufFile, open_gguf
from engine.gguf.types import GgmlType
from engine.models import load_model, on_device
from engine.models.on_device import OnDevice
from engine.ops.cuda import angles, decode, inputs, launch, memory, products, target
from support import tiny_qwen2
from support.device_memory import GRANULE, DeviceMemory
from support.list_graph import list_graphs
from support.packed_weights import random_packed

CONTEXT = 64
RNG = np.random.default_rng(0)


def written(path: Path, type_of: Callable[[str], GgmlType] = tiny_qwen2.q4_k_m, **sizes: int) -> Path:
    """A model of random blocks."""
    shape = tiny_qwen2.Shape(**{"hidden": 256, "layers": 2, "ffn": 512, "context": CONTEXT, **sizes})
    tensors = tiny_qwen2.random_tensors(shape, 0)
    with mock.patch.object(quant, "encode", lambda type_, array: random_packed(type_, *array.shape, RNG).data):
        return tiny_qwen2.write_gguf(path, tensors, tiny_qwen2.metadata(shape), type_of=type_of)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def file(path: Path) -> Iterator[GgufFile]:
    with open_gguf(path) as opened:
        yield opened


@contextmanager
def on(device: DeviceMemory) -> Iterator[DeviceMemory]:
    """Everything that a process keeps between models is made anew and counted; no kernel is started."""
    for buffer in (inputs.token_ids, inputs.positions):
        buffer._tensor = buffer._held = None
    angles.quarters.cache_clear()
    put = target.put
    counted = mock.patch.object(target, "put", lambda array: device.uploaded(put(array)))
    with counted, launch.intercepted(lambda _: None), device:
        yield device


KEPT = 2 * 8 * inputs._ROOM + GRANULE
"""Bytes that stay beside the weights: the buffers of token ids and positions, and one table of angles."""


def weight_bytes(file: GgufFile) -> int:
    """Of the file; its vectors are float32, as on the device."""
    return sum(info.size_bytes for info in file.tensors.values())


def test_weights_and_cache_are_accounted_for_to_the_granule(file: GgufFile) -> None:
    with on(DeviceMemory()) as device:
        model = OnDevice(file, load_model)
        gc.collect()
        assert weight_bytes(file) <= device.live - KEPT <= model.need.weights
        before = device.live
        cache: Any = model.new_cache()
        assert device.live - before == model.need.kv_cache == cache.size_bytes


def test_weights_are_uploaded_once_and_quantised(file: GgufFile) -> None:
    """The share of the file is 1 but for the rounding of each tensor to 512 bytes."""
    with on(DeviceMemory()) as device:
        model = OnDevice(file, load_model)
        loaded = model.facts()["weight_bytes"]
        for tokens in (1, 9):
            model.forward(np.ones(tokens, np.int64), model.new_cache())
        gc.collect()
        assert model.facts()["weight_bytes"] == loaded == weight_bytes(file)
        assert device.live - KEPT <= model.need.weights <= 1.15 * file.size_bytes


@pytest.mark.parametrize("precision", on_device.PRECISIONS)
@pytest.mark.parametrize("sizes", [{}, {"hidden": 512, "layers": 1}, {"ffn": 1536, "layers": 1}], ids=str)
def test_activations_stay_within_the_workspace(tmp_path: Path, precision: str, sizes: dict[str, int]) -> None:
    with open_gguf(written(tmp_path / "m.gguf", **sizes)) as opened, on(DeviceMemory()) as device:
        model = OnDevice(opened, load_model, precision=precision)
        config: Any = model.config
        hidden, kv = config.hidden_size, config.num_kv_heads * config.head_dim
        widths = memory.Widths(hidden, hidden, kv, config.intermediate_size, config.vocab_size)
        for tokens in (1, 8, 9, CONTEXT):
            cache = model.new_cache()
            gc.collect()
            before = device.peak = device.live
            with model._residence.entered():
                model._model.forward(np.zeros(tokens, np.int64), cache, last_only=True)
            taken, reserved = device.peak - before, memory.activations(tokens, widths)
            assert taken <= reserved, f"{tokens} tokens"
        assert reserved <= 2 * taken, "what is reserved and never used refuses models that would fit"


@pytest.mark.parametrize("kind", decode.DECODERS, ids=lambda kind: kind.name)
def test_types_without_a_kernel_are_decoded_within_the_workspace(
    tmp_path: Path, kind: GgmlType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widest product in one slice, beside all activations; and the file's bytes are all that stays."""
    for module in (products, memory):
        monkeypatch.setattr(module, "DECODED_WEIGHTS_AT_ONCE", 512 * 256)
    made = written(
        tmp_path / "m.gguf",
        lambda name: GgmlType.F32 if name.endswith(("norm.weight", ".bias")) else kind,
        layers=1,
    )
    with open_gguf(made) as opened, on(DeviceMemory()) as device:
        model = OnDevice(opened, load_model)
        gc.collect()
        assert weight_bytes(opened) <= device.live - KEPT <= model.need.weights
        widths = memory.Widths(256, 256, 128, 512, model.config.vocab_size)
        decoded = model.need.workspace - memory.activations(CONTEXT, widths) - 2 * memory.activations(1, widths)
        assert decoded - memory._NO_TENSORS == memory._DECODED_BYTES * 512 * 256
        assert device.peak - device.live <= memory.activations(CONTEXT, widths) + decoded - memory._NO_TENSORS
        assert model.facts()["weight_bytes"] == weight_bytes(opened)


def test_too_little_memory_is_said_before_anything_is_taken(file: GgufFile, monkeypatch: pytest.MonkeyPatch) -> None:
    need = memory.Need(weights=4 << 30, kv_cache=1 << 30, workspace=1 << 20, positions=4096)
    memory.require(need, need.total)
    message = (
        r"needs 5121 MiB of device memory \(4096 weights, 1024 kv cache for 4096 positions, 1 workspace\), "
        r"5120 MiB are free"
    )
    with pytest.raises(BackendError, match=message):
        memory.require(need, need.total - 1)
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    with on(DeviceMemory()) as device, pytest.raises(BackendError, match="0 MiB are free"):
        OnDevice(file, load_model)
    assert device.allocations == 0


def conversation(file: GgufFile) -> OnDevice:
    """Load, a prompt, two decoded tokens of which the first captures a graph; the model is still alive."""
    model = OnDevice(file, load_model)
    model._eager = ""
    cache = model.new_cache()
    model.forward(np.ones(9, np.int64), cache, last_only=True)
    for token in (1, 2):
        model.forward([token], cache, last_only=True)
    return model


@pytest.fixture
def no_replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Graphs are captured; what they hold is not run."""
    with list_graphs():
        monkeypatch.setattr(launch, "run", lambda _: None)
        yield


def test_every_allocation_of_load_and_decode_may_fail(tmp_path: Path, no_replays: None) -> None:
    """The call is refused with one line, the device is as empty as before, and the next model loads."""
    with open_gguf(written(tmp_path / "m.gguf", layers=1)) as file:
        with on(DeviceMemory()) as device:
            conversation(file).release()
            total = device.allocations
        assert total > 100
        for number in range(total):
            with on(DeviceMemory(fail_at=number)) as device:
                with pytest.raises(BackendError, match=USED_UP):
                    conversation(file)
                if device.live > KEPT:
                    gc.collect()
                assert device.live <= KEPT, f"allocation {number} of {total} failed"
        with on(DeviceMemory()):
            conversation(file).release()


USED_UP = (
    r"^backend 'cuda': device memory was used up: CUDA out of memory\. Tried to allocate 2\.00 GiB; the model needs "
    r"\d+ MiB of device memory \(\d+ weights, \d+ kv cache for 64 positions, \d+ workspace\); free some, or use cpu$"
)


def test_a_dead_model_refuses_and_a_living_one_does_not_mind(file: GgufFile, no_replays: None) -> None:
    """Two models at once, of which one runs out of memory in the middle of a forward."""
    with on(DeviceMemory()) as device:
        other = conversation(file)
        held = device.live
        model = conversation(file)
        cache = model.new_cache()
        device.fail_at = device.allocations + 5
        with pytest.raises(BackendError, match=USED_UP):
            model.forward([1, 2], cache)
        for call in (lambda: model.forward([1], cache), lambda: model.next_token(1, cache), model.new_cache):
            with pytest.raises(BackendError, match="device memory was used up; load the model again, or use cpu"):
                call()
        gc.collect()
        assert device.live == held
        assert cache.max_positions == 0
        other.forward([1], other.new_cache())


def test_a_cache_that_does_not_fit_leaves_the_model_as_it_was(file: GgufFile, no_replays: None) -> None:
    with on(DeviceMemory()) as device:
        model = conversation(file)
        device.fail_at = device.allocations + 1  # the values; the keys are there already
        held = device.live
        with pytest.raises(BackendError, match=USED_UP):
            model.new_cache()
        gc.collect()
        assert device.live == held
        model.forward([1], model.new_cache())


def test_an_error_over_the_failed_allocation_does_not_hide_it() -> None:
    """Ending a capture that ran out of memory raises an error of its own; the driver says it in words."""
    over = RuntimeError("operation failed due to a previous error during capture")
    over.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert memory.used_up_by(over) is over.__context__
    assert memory.used_up_by(RuntimeError("Triton Error [CUDA]: out of memory"))
    assert memory.used_up_by(RuntimeError("an illegal memory access was encountered")) is None
    assert memory.used_up_by(ValueError("out of memory")) is None
