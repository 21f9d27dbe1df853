"""A whole model through the kernels under the interpreter, beside the reference; and the graph, replayed as a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import trace
from engine.errors import ShapeError
from engine.gguf.reader import open_gguf
from engine.models import load_model, parity_gate
from engine.models.on_device import OnDevice
from engine.ops import reference
from engine.ops.cuda import graph, launch
from support import tiny_qwen2
from support.list_graph import list_graphs

IDS = [3, 141, 59, 26, 5, 35, 89, 79, 32]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer in the mix of types of Q4_K_M, small enough to be interpreted in a second."""
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=256, context=32)
    tensors = tiny_qwen2.random_tensors(shape, 0)
    out = tmp_path_factory.mktemp("model") / "tiny.gguf"
    return tiny_qwen2.write_gguf(out, tensors, tiny_qwen2.metadata(shape), type_of=tiny_qwen2.q4_k_m)


@pytest.fixture
def model(path: Path) -> Iterator[OnDevice]:
    with open_gguf(path) as file:
        loaded = OnDevice(file, load_model)
        yield loaded
        loaded.release()


@pytest.fixture
def oracle(path: Path) -> Iterator[Any]:
    with open_gguf(path) as file:
        yield load_model(file, reference)


def serial(model: Any, ids: list[int]) -> np.ndarray:
    cache = model.new_cache()
    return np.concatenate([model.forward([token], cache, last_only=True) for token in ids])


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_logits_beside_the_reference(model: OnDevice, oracle: Any) -> None:
    """Prefill in float16: cosine within 1e-6; decode with 8-bit activations: within 1e-3."""
    expected = oracle.forward(IDS, oracle.new_cache())
    assert cosines(model.forward(IDS, model.new_cache()), expected).min() >= 1 - 1e-6
    assert cosines(serial(model, IDS[:2]), expected[:2]).min() >= 1 - 1e-3


def test_taps_change_nothing_and_see_numpy(model: OnDevice, oracle: Any) -> None:
    seen, expected = trace.Recorder(), trace.Recorder()
    with_tap = model.forward(IDS, model.new_cache(), tap=seen)
    without = model.forward(IDS, model.new_cache())
    np.testing.assert_array_equal(with_tap.view(np.uint32), without.view(np.uint32))
    oracle.forward(IDS, oracle.new_cache(), tap=expected)
    assert seen.arrays.keys() == expected.arrays.keys()
    for key, arrays in expected.arrays.items():
        assert np.linalg.norm(seen.arrays[key][0] - arrays[0]) <= 2e-3 * np.linalg.norm(arrays[0]), key


def test_the_next_token_is_the_argmax(model: OnDevice) -> None:
    by_logits, by_id = model.new_cache(), model.new_cache()
    for token in IDS[:2]:
        assert model.next_token(token, by_id) == model.forward([token], by_logits, last_only=True).argmax()
    assert by_id.length == by_logits.length == 2


def test_the_record_names_the_interpreter_and_the_launches(model: OnDevice) -> None:
    model.forward([1], model.new_cache())
    facts = model.facts()
    assert facts["target"] == "cuda-interpreted"
    assert facts["mode"] == "eager: the interpreter has no graphs"
    assert facts["precision_mode"] == "q8"
    assert facts["launches"]["q4_k_matvec"] >= 5
    assert facts["launches"]["q6_k_matvec"] >= 3
    assert facts["launches"]["attention_decode"] >= 1


@pytest.fixture
def listed() -> Iterator[None]:
    with list_graphs():
        yield


def replaying(model: OnDevice) -> OnDevice:
    model._eager = ""
    return model


def test_a_replayed_step_is_the_eager_step(model: OnDevice, listed: None) -> None:
    """Bitwise, after a prompt: a replay takes token and position from the device alone, and kernels count."""
    eager_cache, graph_cache = model.new_cache(), model.new_cache()
    for cache in (eager_cache, graph_cache):
        model.forward(IDS[:1], cache)
    eager = [model.forward([token], eager_cache, last_only=True) for token in IDS[1:3]]
    replaying(model)
    before = launch.counts()
    replayed = [model.forward([token], graph_cache, last_only=True) for token in IDS[1:3]]
    for a, b in zip(eager, replayed, strict=True):
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))
    assert graph_cache.length == eager_cache.length == 3
    # a first run that loads the kernels, then two replays; the capture itself runs nothing
    assert launch.since(before)["attention_decode"] == 3
    assert launch.since(before)["q6_k_matvec"] == 3 * 3


def test_a_graph_goes_with_its_cache(model: OnDevice, listed: None) -> None:
    """Two conversations in turn, and one that starts again, each as if it were alone."""
    [expected] = serial(model, IDS[:1])
    replaying(model)
    first, second = model.new_cache(), model.new_cache()
    for cache in (first, second):
        np.testing.assert_array_equal(model.forward(IDS[:1], cache, last_only=True)[0], expected)
    first.reset()
    np.testing.assert_array_equal(model.forward(IDS[:1], first, last_only=True)[0], expected)


def test_a_graph_refuses_what_the_forward_refuses(model: OnDevice, listed: None) -> None:
    with pytest.raises(ShapeError, match=r"token id 100000 is outside"):
        replaying(model).forward([100_000], model.new_cache(), last_only=True)


def test_a_graph_is_captured_anew_when_the_inputs_moved(
    model: OnDevice, listed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = serial(model, IDS[:2])
    replaying(model)
    cache = model.new_cache()
    model.forward(IDS[:1], cache, last_only=True)
    monkeypatch.setattr(graph.inputs.positions, "_tensor", None)
    np.testing.assert_array_equal(model.forward(IDS[1:2], cache, last_only=True)[0], expected[1])


def test_the_gate_lets_the_kernels_pass(model: OnDevice, oracle: Any) -> None:
    steps = parity_gate.require(model, oracle, IDS[:9], steps=2)
    assert len(steps) == 3
