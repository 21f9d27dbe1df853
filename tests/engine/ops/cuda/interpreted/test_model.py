"""A whole model through the kernels under the interpreter, beside the reference; and the graph, replayed as a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import quant, trace
from engine.errors import BackendError, ContextError, ShapeError
from engine.generate import generate
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.models import load_model, on_device, parity_gate
from engine.models.on_device import OnDevice
from engine.ops import reference
from engine.ops.cuda import graph, launch, products
from engine.sampling import Sampling
from support import tiny_qwen2
from support.list_graph import list_graphs
from support.packed_weights import random_packed

pytestmark = pytest.mark.usefixtures("large_tiles")

IDS = [3, 141, 59, 26, 5, 35, 89, 79, 32]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer in the mix of types of Q4_K_M, small enough to be interpreted in a second."""
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=256, context=32)
    return tiny_qwen2.write_q4_k_m(tmp_path_factory.mktemp("model") / "tiny.gguf", shape)


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
    seen, expected = trace.Recorder(trace.ON_REQUEST), trace.Recorder(trace.ON_REQUEST)
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


def test_models_share_nothing(path: Path, model: OnDevice) -> None:
    """The same file twice: releasing the second leaves the first as it is."""
    expected = model.next_token(IDS[:2], model.new_cache())
    with open_gguf(path) as file:
        second = OnDevice(file, load_model)
        assert second.facts()["weight_bytes"] == model.facts()["weight_bytes"] > 0
        second.release()
        with pytest.raises(BackendError, match="the model was released; load the model again"):
            second.next_token(1, second.new_cache())
    assert model.next_token(IDS[:2], model.new_cache()) == expected


def test_f32_is_the_reference_in_another_order(path: Path, oracle: Any) -> None:
    """Cosine within 1e-6: the float16 cache is left; no product had 8-bit or float16 activations."""
    expected = oracle.forward(IDS[:2], oracle.new_cache())
    with open_gguf(path) as file:
        model = OnDevice(file, load_model, precision="f32")
        before = launch.counts()
        found = serial(model, IDS[:2])
        launches = launch.since(before)
    assert cosines(found, expected).min() >= 1 - 1e-6
    assert launches["q4_k_exact"] >= 2
    assert launches["q6_k_exact"] >= 2
    assert not any(name.endswith(("_matvec", "_matmul", "half_rows")) for name in launches)
    assert model.facts()["precision_mode"] == "f32"
    assert model.ops.precision == "float32 activations and sums, float16 kv cache"


def test_a_precision_that_is_not_there_is_refused(path: Path) -> None:
    with (
        open_gguf(path) as file,
        pytest.raises(BackendError, match=r"precision 'q16' is not one .*; available: q8, f32"),
    ):
        OnDevice(file, load_model, precision="q16")


def test_a_long_prompt_runs_in_chunks(path: Path, oracle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 4, 4 and 1 see each other; a prompt that is refused leaves no chunk of it behind."""
    monkeypatch.setattr(on_device, "CHUNK", 4)
    expected = oracle.forward(IDS, oracle.new_cache())
    with open_gguf(path) as file:
        model = OnDevice(file, load_model, precision="f32")
        cache = model.new_cache()
        found = model.forward(IDS, cache)
        assert found.shape == expected.shape
        assert cosines(found, expected).min() >= 1 - 1e-6
        assert cache.length == len(IDS)
        cache.reset()
        for bad, error in (([*IDS, 100_000], ShapeError), ([1] * 40, ContextError), ([], ContextError)):
            for call in (model.forward, model.next_token):
                with pytest.raises(error):
                    call(bad, cache)
                assert cache.length == 0


def test_a_type_without_a_kernel_runs_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q5_K everywhere, float32 activations: cosine within 1e-6, and nothing but the interpreter forbids a graph."""
    rng = np.random.default_rng(3)
    monkeypatch.setattr(quant, "encode", lambda type_, array: random_packed(type_, *array.shape, rng).data)
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=256, context=32)
    made = tiny_qwen2.write_gguf(
        tmp_path / "m.gguf",
        tiny_qwen2.random_tensors(shape, 0),
        tiny_qwen2.metadata(shape),
        type_of=lambda name: GgmlType.F32 if name.endswith(("norm.weight", ".bias")) else GgmlType.Q5_K,
    )
    with open_gguf(made) as file:
        model, judge = OnDevice(file, load_model), load_model(file, reference)
        expected = judge.forward(IDS[:2], judge.new_cache())
        assert cosines(serial(model, IDS[:2]), expected).min() >= 1 - 1e-5
        assert model.mode == "eager: the interpreter has no graphs"


@pytest.mark.parametrize("output_rows", [1, 1 << 20], ids=["fused", "separate"])
def test_the_smallest_id_of_equal_logits(tmp_path: Path, output_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of the output from 5 on is the same: logits tie, and both ways name numpy's choice."""
    monkeypatch.setattr(products, "OUTPUT_ROWS", output_rows)
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=256, context=32)
    tensors = tiny_qwen2.random_tensors(shape, 0)
    tensors["output.weight"][:5] = 0
    tensors["output.weight"][5:] = tensors["output.weight"][5]
    made = tiny_qwen2.write_gguf(tmp_path / "m.gguf", tensors, tiny_qwen2.metadata(shape), type_of=tiny_qwen2.q4_k_m)
    with open_gguf(made) as file:
        model = OnDevice(file, load_model)
        logits = model.forward([1], model.new_cache())[0]
        assert (logits == logits.max()).sum() > 1
        assert model.next_token(1, model.new_cache()) == logits.argmax()
        params, options = Sampling(), {"max_tokens": 2, "end_ids": ()}
        chosen = list(generate(model, [1], kv_cache=model.new_cache(), params=params, **options))
        sampled = list(generate(model, [1], kv_cache=model.new_cache(), params=params, tap=lambda *_: None, **options))
        assert chosen == sampled
