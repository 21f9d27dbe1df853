"""Decode steps that are noted and run again: the same bits, and only where jobs have done everything."""

from __future__ import annotations

import functools
import gc
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numba
import numpy as np
import pytest

from engine.errors import ContextError, ShapeError
from engine.gguf.reader import open_gguf
from engine.kv_cache import KvCache
from engine.models import load_model
from engine.models.protocol import Model
from engine.ops.cpu.integer import IntegerOps
from engine.ops.cpu.isa import Isa, available
from engine.ops.cpu.kernels import llvm
from engine.ops.cpu.recording import Step
from support import tiny_qwen2

SHAPE = tiny_qwen2.Shape(hidden=256, layers=2, heads=4, kv_heads=2, ffn=256, context=300)
IDS = np.random.default_rng(0).integers(0, 200, 300).tolist()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_q4_k_m(tmp_path_factory.mktemp("model") / "tiny.gguf", SHAPE)


@pytest.fixture
def model(path: Path) -> Model:
    return load_model(open_gguf(path), IntegerOps("q8", 2))


@pytest.fixture
def again() -> Iterator[Any]:
    """Counts the steps that are run again."""
    with mock.patch.object(Step, "run", autospec=True, side_effect=Step.run) as found:
        yield found


def by_operations(model: Model, token: int, cache: KvCache) -> np.ndarray:
    return model.forward([token], cache, tap=lambda *_: None)


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["f16", "f32"])
@pytest.mark.parametrize("precision", ["q8", "q16"])
def test_every_step_has_the_bits_of_its_operations(path: Path, again: Any, precision: str, kind: str) -> None:
    """Past 256 positions, where the cache grows and the step is noted anew."""
    model = load_model(open_gguf(path), IntegerOps(precision, 2))
    cache, judge = (model.new_cache().empty_as(kind) for _ in range(2))
    for start in (0, 240):
        for held in (cache, judge):
            held.reset()
            if start:
                model.forward(IDS[:start], held)
        for token in IDS[start : start + 20]:
            assert same(model.forward([token], cache), by_operations(model, token, judge))
    for layer in range(2):
        for kept, expected in zip(cache.view(layer), judge.view(layer), strict=True):
            assert same(kept, expected)
    assert again.call_count == 38  # of 40: not the first, nor that at position 256


def test_a_step_belongs_to_one_cache(model: Model, again: Any) -> None:
    caches, judges = ([model.new_cache() for _ in range(2)] for _ in range(2))
    for number, token in enumerate(IDS[:12]):
        cache, judge = caches[number % 2], judges[number % 2]
        assert same(model.forward([token], cache), by_operations(model, token, judge))
    assert again.call_count == 10


def test_a_cache_that_was_cut_back(model: Model, again: Any) -> None:
    cache, judge = model.new_cache(), model.new_cache()
    for length, tokens in ((0, IDS[:6]), (2, IDS[6:9])):
        for held in (cache, judge):
            held.truncate(length)
        for token in tokens:
            assert same(model.forward([token], cache), by_operations(model, token, judge))
    assert again.call_count == 8


def test_two_models_that_share_operations_and_a_cache(path: Path, again: Any) -> None:
    ops = IntegerOps("q8", 1)
    models = [load_model(open_gguf(path), ops) for _ in range(2)]
    cache = models[0].new_cache()
    found = []
    for model in (*models, *models):
        cache.reset()
        found.append(model.forward([5], cache).copy())
    assert all(same(each, found[0]) for each in found)
    assert again.call_count == 0


@pytest.mark.parametrize("operation", ["add_bias", "rms_norm", "swiglu", "add", "attention", "rope"])
def test_an_operation_outside_of_jobs_is_never_left_out(model: Model, again: Any, operation: str) -> None:
    """What numpy does to a result would be missing from the jobs: then nothing is noted."""
    original = getattr(IntegerOps, operation)

    def wrong(*arguments: Any, **named: Any) -> Any:
        return original(*arguments, **named) * np.float32(1.5)

    with mock.patch.object(IntegerOps, operation, wrong):
        cache, judge = model.new_cache(), model.new_cache()
        for token in IDS[:4]:
            assert same(model.forward([token], cache), by_operations(model, token, judge))
    assert again.call_count == 0


def test_a_type_that_numpy_decodes_is_run_by_operations(tmp_path: Path, again: Any) -> None:
    path = tiny_qwen2.write_tiny(tmp_path / "f32.gguf", SHAPE)
    model = load_model(open_gguf(path), IntegerOps("q8", 1))
    cache, judge = model.new_cache(), model.new_cache()
    for token in IDS[:3]:
        assert same(model.forward([token], cache), by_operations(model, token, judge))
    assert again.call_count == 2  # F32 has a job
    with mock.patch("engine.ops.cpu.floats.KERNEL_TYPES", frozenset()):
        cache = model.new_cache()
        for token in IDS[:3]:
            model.forward([token], cache)
    assert again.call_count == 2


def test_a_token_outside_the_vocabulary_is_refused_as_ever(model: Model) -> None:
    cache = model.new_cache()
    model.forward([1], cache)
    model.forward([2], cache)
    for token in (-1, model.config.vocab_size):
        with pytest.raises(ShapeError, match=rf"token id {token} is outside"):
            model.forward([token], cache)
    assert cache.length == 2
    model.forward([3], cache)
    assert cache.length == 3


def test_a_full_cache_is_refused_as_ever(model: Model) -> None:
    cache = model.new_cache(3)
    for token in IDS[:3]:
        model.forward([token], cache)
    with pytest.raises(ContextError, match="exceed the context of 3"):
        model.forward([1], cache)
    assert cache.length == 3


def test_logits_of_a_step_stay_as_they_are(model: Model) -> None:
    """They are the caller's, not the memory of the next step."""
    cache = model.new_cache()
    found = [model.forward([token], cache) for token in IDS[:4]]
    kept = [logits.copy() for logits in found]
    model.forward([IDS[4]], cache)
    assert all(same(one, other) for one, other in zip(found, kept, strict=True))
    assert not same(found[1], found[2])


def test_threads_with_caches_of_their_own(model: Model) -> None:
    expected = []
    judge = model.new_cache()
    for token in IDS[:30]:
        expected.append(by_operations(model, token, judge).copy())
    differ = []

    def decode() -> None:
        cache = model.new_cache()
        for token, right in zip(IDS[:30], expected, strict=True):
            if not same(model.forward([token], cache), right):
                differ.append(token)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differ


def test_a_forked_child_runs_the_steps_of_its_parent(model: Model) -> None:
    cache, judge = model.new_cache(), model.new_cache()
    for token in IDS[:3]:
        model.forward([token], cache)
        by_operations(model, token, judge)
    expected = by_operations(model, IDS[3], judge)
    child = os.fork()
    if not child:
        os._exit(0 if same(model.forward([IDS[3]], cache), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_model_and_its_steps_go_without_the_collector(path: Path) -> None:
    """They hold gigabytes: a cycle between them would keep those for a while."""
    model = load_model(open_gguf(path), IntegerOps("q8", 1))
    cache = model.new_cache()
    for token in IDS[:3]:
        model.forward([token], cache)
    watched, steps = weakref.ref(model.ops), len(model.ops._steps)  # type: ignore[attr-defined]
    gc.disable()
    try:
        del model, cache
        assert steps == 1
        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("instruction", [True, False] if Isa.AVX2 in available() else [False])
def test_float16_is_rounded_as_numpy_rounds(instruction: bool) -> None:
    """Around every float16, and bit patterns of all sizes: with the processor's instruction and without."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    near = [halves + np.uint32(step) for step in (0, 1, 0xFFF, 0x1000, 0x1001)] + [halves - np.uint32(1)]
    spread = np.arange(0, 1 << 32, 99_971, dtype=np.uint64).astype(np.uint32)
    values = np.concatenate([*near, spread]).view(np.float32)
    found = np.zeros(values.size, np.uint16)

    @numba.njit  # type: ignore[untyped-decorator]
    def store(source: int, target: int, count: int) -> None:
        llvm.store_halves(source, target, count)

    convert = functools.partial(llvm.float_to_half, instruction=instruction)
    with mock.patch.object(llvm, "float_to_half", convert):
        store(values.ctypes.data, found.ctypes.data, values.size)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    nan = np.isnan(values)
    assert nan.any()
    assert np.array_equal(found[~nan], expected[~nan])
    assert np.isnan(found.view(np.float16)[nan]).all()
