"""Every fault of `engine.faults.cuda` changes what the kernels give, and is gone afterwards."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.faults import cuda as faults
from engine.faults.seeding import Seeded
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.models import load_model
from engine.models.on_device import OnDevice
from engine.ops import cuda as ops
from engine.ops.cuda import products, resident, target
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.sums import settled
from engine.ops.protocol import Weight
from falsifiers.support import cuda
from support import tiny_qwen2
from support.list_graph import list_graphs
from support.packed_weights import random_packed

pytestmark = pytest.mark.usefixtures("large_tiles")

NAMES = [f"{name}-{fault.__name__}" for name, listed in faults.CLASSES.items() for fault in listed]
Probe = Callable[[Path], Any]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer of float32."""
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", tiny_qwen2.Shape(layers=1))


def replayed(path: Path) -> Any:
    """Logits of three steps, the second and third by a graph."""
    with open_gguf(path) as file, list_graphs():
        model = OnDevice(file, load_model)
        model._eager = ""
        kv_cache = model.new_cache()
        found = [model.forward([token], kv_cache, last_only=True) for token in (3, 141, 59)]
        model.release()
        return np.concatenate(found)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def product(kind: GgmlType, *, exact: bool = False, tokens: int = 1, scale: float = 1.0) -> Probe:
    weight = random_packed(kind, 64, 256, np.random.default_rng(0))
    x = (np.random.default_rng(1).standard_normal((tokens, 256)) * scale).astype(np.float32)

    def probe(_: Path) -> Any:
        multiply = resident.exact_matmul if exact else resident.matmul
        return settled(multiply(target.put(x), weight)).numpy()

    return probe


def attended(_: Path) -> Any:
    return ops.attention(draw(3, 2, 32), draw(6, 2, 32), draw(6, 2, 32) + 1, np.array([1, 2, 3]))


def appended(_: Path) -> Any:
    """What two layers of a cache hold after two tokens."""
    cache = DeviceKvCache(2, 2, 8, 4)
    cache._keys.zero_()
    cache._values.zero_()
    for layer in (0, 1):
        k, v = (target.put(draw(2, 2, 8) + layer + offset) for offset in (0, 5))
        resident.rope_append(target.put(draw(2, 4, 8)), k, v, np.array([0, 1]), cache, layer, theta=1e4)
    return np.stack([cache._keys.numpy(), cache._values.numpy()])


def largest(_: Path) -> Any:
    return products.largest(target.put(np.array([[0, 3, 1, 3]], np.float32))).numpy()


def turned(_: Path) -> Any:
    return resident.rope(target.put(draw(2, 2, 8)), np.array([4, 5]), theta=1e4).numpy()


def normed(_: Path) -> Any:
    return resident.rms_norm(target.put(draw(3, 64)), draw(64), eps=1e-6).numpy()


def gated(_: Path) -> Any:
    """A fused gate and up, and the two by themselves."""
    gate, up = (Weight(name, GgmlType.Q4_K, (32, 256), packed) for name, packed in zip("gu", halves(), strict=True))
    activated = settled(resident.gated_product(target.put(draw(1, 256)), gate, up)[2]).numpy()
    return np.concatenate([activated, resident.swiglu(target.put(draw(1, 32)), target.put(draw(1, 32) + 1)).numpy()])


def halves() -> list[Any]:
    both = random_packed(GgmlType.Q4_K, 64, 256, np.random.default_rng(4)).data
    return [np.ascontiguousarray(both[:32]), np.ascontiguousarray(both[32:])]


def biased(_: Path) -> Any:
    return settled(resident.add_bias(target.put(draw(2, 64)), draw(64))).numpy()


def embedded(_: Path) -> Any:
    weight = random_packed(GgmlType.Q4_K, 8, 256, np.random.default_rng(5))
    return resident.embedding(weight, np.array([3, 7])).numpy()


Q4_K = product(GgmlType.Q4_K)
PROBES: dict[str, Probe] = {
    "attention_one_slot_too_many": attended,
    "attention_scale_dropped": attended,
    "attention_without_mask": attended,
    "bias_doubled": biased,
    "embedding_of_the_neighbour": embedded,
    "exact_mode_is_not": product(GgmlType.Q4_K, exact=True),
    "gate_below_up": gated,
    "graph_keeps_its_position": replayed,
    "halves_not_scaled": product(GgmlType.Q4_K, tokens=16, scale=1e6),
    "keys_and_values_exchanged": appended,
    "last_of_equals": largest,
    "last_program_not_started": appended,
    "minimums_dropped": Q4_K,
    "norm_epsilon": normed,
    "norm_weight_dropped": normed,
    "one_layer_for_all": appended,
    "one_scale_for_a_row": Q4_K,
    "q4k_nibbles_swapped": Q4_K,
    "q6k_not_repacked": product(GgmlType.Q6_K),
    "q8_scales_shifted": product(GgmlType.Q8_0),
    "rope_position_off_by_one": turned,
    "rope_theta_doubled": appended,
    "swiglu_swapped": gated,
    "tail_dropped": Q4_K,
    "values_turned": appended,
}


@pytest.fixture(scope="module")
def right(path: Path) -> dict[Probe, Any]:
    with cuda.few_programs():
        return {probe: probe(path) for probe in set(PROBES.values())}


@pytest.mark.parametrize("fault", faults.ALL, ids=NAMES)
def test_fault_changes_its_probe_and_is_gone(path: Path, right: dict[Probe, Any], fault: Callable[[], Seeded]) -> None:
    probe = PROBES[fault.__name__]
    before = places()
    with fault():
        assert places() != before, "nothing was replaced"
        found = probe(path)
    assert places() == before
    assert found.shape == right[probe].shape
    assert not np.array_equal(found, right[probe], equal_nan=True)
    np.testing.assert_array_equal(probe(path), right[probe])


def places() -> dict[tuple[str, str], int]:
    """Every attribute of the backend's modules that faults look at, and of the cache's class."""
    names = ("activations", "graph", "launch", "products", "resident", "weights")
    owners: list[Any] = [importlib.import_module(f"engine.ops.cuda.{name}") for name in names]
    owners.append(DeviceKvCache)
    return {(owner.__name__, name): id(value) for owner in owners for name, value in vars(owner).items()}


def test_each_file_has_the_faults_of_its_class() -> None:
    for name, registered in faults.CLASSES.items():
        file = importlib.import_module(f"engine.faults.cuda.{name}")
        own = {key: value for key, value in vars(file).items() if getattr(value, "__module__", "") == file.__name__}
        assert [fault.__name__ for fault in registered] == sorted(key for key in own if not key.startswith("_"))
    assert all(fault.__doc__ for fault in faults.ALL)
