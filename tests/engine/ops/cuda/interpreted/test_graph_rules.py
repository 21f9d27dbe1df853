"""The capture of a decode step keeps CUDA's rules, and a step that breaks one is refused: see `support.list_graph`.

No kernel runs here. That the stand-in takes what torch takes is compared with torch's own signatures.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.gguf.reader import open_gguf
from engine.models import load_model
from engine.models.on_device import OnDevice
from engine.ops.cuda import angles, graph, inputs, launch, memory, target
from engine.ops.cuda.add import add
from engine.ops.cuda.argmax import argmax
from engine.ops.cuda.graph import DecodeGraph
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.timer import EventTimer
from support import tiny_qwen2
from support.list_graph import CaptureError, Rules, list_graphs


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rules]:
    monkeypatch.setattr(launch, "run", lambda _: None)
    with launch.intercepted(lambda _: None), list_graphs() as found:
        yield found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=512, context=64)
    return tiny_qwen2.write_q4_k_m(tmp_path_factory.mktemp("model") / "tiny.gguf", shape)


@pytest.fixture
def model(path: Path, rules: Rules) -> Iterator[OnDevice]:
    with open_gguf(path) as file:
        made = OnDevice(file, load_model)
        made._eager = ""
        yield made
        made.release()


def test_a_models_step_is_captured_and_replayed(model: OnDevice) -> None:
    """Several caches, and buffers that move between: a graph whose inputs moved is captured anew."""
    first, second = model.new_cache(), model.new_cache()
    for cache in (first, second, first):
        model.forward([1], cache)
    kept = model._graphs[first]
    inputs.token_ids.put(np.zeros(2 * inputs._ROOM, np.int64))
    model.forward([2], first)
    assert model._graphs[first] is not kept
    model.forward([3], first)
    assert first.length == 4


def test_tables_outlive_what_else_is_loaded(model: OnDevice) -> None:
    """Twenty models with other angles: the first one's graph still reads its own."""
    cache = model.new_cache()
    model.forward([1], cache)
    for number in range(20):
        angles.quarters(64, 1000.0 + number, "cpu")
    model.forward([1], cache)


def test_memory_that_is_given_back_shows(model: OnDevice) -> None:
    """The rule itself: a table that nobody keeps."""
    cache = model.new_cache()
    model.forward([1], cache)
    angles.quarters.cache_clear()
    with pytest.raises(CaptureError, match="the memory of quarters of rope_append was given back"):
        model.forward([1], cache)


def step(*, of: Any) -> DecodeGraph:
    """A graph of a forward of one's own."""
    cache = DeviceKvCache(1, 1, 16, 8)
    x = target.put(np.ones((1, 64), np.float32))

    def forward(cache: DeviceKvCache) -> Any:
        y = torch.empty_like(x)
        launch.launch(add, (1, 1, 1), warps=4, x=x, y=x, z=y, size=64, period=64, BLOCK=64)
        of(y)
        cache.advance()
        return y

    return DecodeGraph(forward, cache, 0)


def test_a_sound_step(rules: Rules) -> None:
    made = step(of=lambda _: None)
    assert made.launches == {"add": 1, "argmax": 1}
    assert made.warm_up_launches == 2


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda y: y[0, 0].item(), "_local_scalar_dense"),
        (lambda y: int(y[0, 0]), "_local_scalar_dense"),
        (lambda y: y.cpu(), "Tensor.cpu"),
        (lambda y: y.numpy(), "Tensor.numpy"),
        (lambda y: y.copy_(torch.from_numpy(np.ones((1, 64), np.float32))), "memory of the host"),
        (torch.nonzero, "aten::nonzero"),
        (lambda _: inputs.Buffer().put(np.array([5])), "memory of the host"),
        (lambda _: torch.cuda.current_stream().synchronize(), "synchronize"),
    ],
    ids=["item", "int", "cpu", "numpy", "upload", "nonzero", "input buffer", "synchronize"],
)
def test_a_step_that_touches_the_host_is_refused(rules: Rules, breaks: Any, said: str) -> None:
    """The warm-up allows it; the capture ends with an error over the one that names it."""
    with pytest.raises(RuntimeError, match="previous error during capture") as caught:
        step(of=breaks)
    assert isinstance(caught.value.__cause__, CaptureError)
    assert said in str(caught.value.__cause__)
    assert rules.capturing is None, "the next capture may begin"


def test_a_kernel_that_the_warm_up_did_not_load_is_refused(rules: Rules) -> None:
    calls: list[int] = []

    def another(y: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            out = torch.empty(1, dtype=torch.int32)
            launch.launch(argmax, (1, 1, 1), warps=2, values=y, rows=out, out=out, size=64, NAMED=False, BLOCK=64)

    with pytest.raises(RuntimeError) as caught:
        step(of=another)
    assert "loading argmax" in str(caught.value.__cause__)


def test_an_allocation_that_fails_during_a_capture_is_named(rules: Rules) -> None:
    calls: list[int] = []

    def used_up(_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(RuntimeError) as caught:
        step(of=used_up)
    failed = memory.used_up_by(caught.value)
    assert str(failed) == "CUDA out of memory. Tried to allocate 2.00 GiB"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (torch.cuda.Stream, ()),
        (torch.cuda.Stream.wait_stream, (None, None)),
        (torch.cuda.Stream.synchronize, (None,)),
        (torch.cuda.current_stream, ()),
        (torch.cuda.stream, (None,)),
        (torch.cuda.CUDAGraph.replay, (None,)),
        (torch.cuda.graph, (None,)),
        (torch.cuda.Event.record, (None,)),
        (torch.cuda.Event.synchronize, (None,)),
        (torch.cuda.Event.elapsed_time, (None, None)),
        (torch.cuda.mem_get_info, (torch.device("cuda", 0),)),
        (torch.cuda.memory_reserved, ()),
        (torch.cuda.memory_allocated, ()),
        (torch.cuda.max_memory_allocated, ()),
        (torch.cuda.reset_peak_memory_stats, ()),
        (torch.cuda.empty_cache, ()),
        (torch.cuda.get_device_capability, ()),
        (torch.cuda.get_device_properties, (torch.device("cuda", 0),)),
        (torch.cuda.current_device, ()),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_torch_has_what_is_called(function: Any, arguments: tuple[Any, ...]) -> None:
    """As it is called here, in the torch that is installed."""
    inspect.signature(function).bind(*arguments)


def test_what_is_called_is_all_that_is_listed() -> None:
    """Every name after torch.cuda in the backend is one of the above."""
    import re

    folder = Path(graph.__file__).parent
    used = {name for file in folder.glob("*.py") for name in re.findall(r"torch\.cuda\.(\w+)", file.read_text())}
    assert used == {
        "CUDAGraph", "Event", "Stream", "current_device", "current_stream", "empty_cache", "get_device_capability",
        "get_device_properties", "graph", "is_available", "max_memory_allocated", "mem_get_info", "memory_allocated",
        "memory_reserved", "reset_peak_memory_stats", "stream",
    }  # fmt: skip
    assert issubclass(torch.OutOfMemoryError, RuntimeError)


class FakeEvent:
    """What `torch.cuda.Event(enable_timing=True)` is to its user: no time before both were recorded and passed."""

    now = 0.0

    def __init__(self) -> None:
        self.at: float | None = None
        self.passed = False

    def record(self) -> None:
        FakeEvent.now += 0.25
        self.at = FakeEvent.now

    def synchronize(self) -> None:
        assert self.at is not None, "recorded first"
        self.passed = True

    def elapsed_time(self, end: FakeEvent) -> float:
        """Milliseconds."""
        assert end.passed, "the end has not been waited for"
        assert self.at is not None
        assert end.at is not None
        return (end.at - self.at) * 1e3


def test_events_are_recorded_and_waited_for_before_they_are_read() -> None:
    """Seconds from milliseconds; a mark in between needs no wait of its own, later ones pass after it."""
    timer = EventTimer(FakeEvent)
    start, middle, end = timer.mark(), timer.mark(), timer.mark()
    assert timer.seconds(start, end) == pytest.approx(0.5)
    assert timer.seconds(start, middle) == pytest.approx(0.25)


def test_free_memory_counts_what_torch_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 of 100 bytes are free to the driver, torch reserved 70 and has given out 40."""
    monkeypatch.setattr(target, "is_interpreted", lambda: False)
    monkeypatch.setattr(target, "device", lambda: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 40)
    assert memory.free_bytes() == 40
