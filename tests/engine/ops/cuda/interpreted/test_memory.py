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

from engine import quant
from engine.errors import BackendError
from engine.gguf.reader import GgufFile, open_gguf
from engine.gguf.types import GgmlType
from engine.models import load_model, on_device
from engine.models.on_device import OnDevice
from engine.ops.cuda import decode, inputs, launch, memory, products, resident, target
from support import tiny_qwen2
from support.device_memory import GRANULE, DeviceMemory
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
    resident._quarters.cache_clear()
    gc.collect()
    put = target.put
    counted = mock.patch.object(target, "put", lambda array: device.uploaded(put(array)))
    with counted, launch.intercepted(lambda _: None), device:
        yield device


KEPT = 2 * 8 * inputs._ROOM + GRANULE
"""Bytes that stay beside the weights: the buffers of token ids and positions, and one table of angles."""


def test_weights_and_cache_are_accounted_for_to_the_byte(file: GgufFile) -> None:
    with on(DeviceMemory()) as device:
        model = OnDevice(file, load_model)
        gc.collect()
        assert device.live == model.need.weights + KEPT
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
        assert model.facts()["weight_bytes"] == loaded == sum(info.size_bytes for info in file.tensors.values())
        assert device.live == model.need.weights + KEPT
        assert model.need.weights <= 1.15 * file.size_bytes


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
        assert device.live == model.need.weights + KEPT
        widths = memory.Widths(256, 256, 128, 512, model.config.vocab_size)
        decoded = model.need.workspace - memory.activations(CONTEXT, widths) - 2 * memory.activations(1, widths)
        assert decoded - memory._NO_TENSORS == memory._DECODED_BYTES * 512 * 256
        assert device.peak - device.live <= memory.activations(CONTEXT, widths) + decoded - memory._NO_TENSORS
        assert model.facts()["weight_bytes"] == sum(info.size_bytes for info in opened.tensors.values())


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
