"""In place of CUDA graphs under the interpreter: the launches of a capture, run again at each replay, by CUDA's rules.

    during a capture    nothing waits for the device, and nothing is copied from or to the host; no kernel is started
                        for the first time, because loading one is not allowed; no other capture begins
    a side stream       waits for the stream before it is used, and the stream for it before a capture
    at a replay         what was allocated during the capture belongs to the graph; everything else has to be where it
                        was, because a graph holds addresses and keeps nothing alive
    after an error      the capture ends with an error of its own, over that one

Sources: CUDA C++ Programming Guide, creating a graph by stream capture, prohibited and unhandled operations; notes of
torch on CUDA graphs. What is not kept here: time, and that work on several streams overlaps.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.ops.cuda import launch, target

Thunk = Callable[[], Any]


class CaptureError(RuntimeError):
    """What CUDA would refuse."""


class Rules:
    """What is going on: streams, the capture, which memory is the host's, which kernels are loaded."""

    def __init__(self) -> None:
        self.capturing: ListGraph | None = None
        self.stream = Stream(self)
        self.main = self.stream
        self.loaded: set[str] = set()
        self.unjoined: set[Stream] = set()
        """Side streams with work that the main one has not waited for."""
        self._host: weakref.WeakSet[Any] = weakref.WeakSet()

    def on_host(self, tensor: Any) -> Any:
        """Note that this is memory of the host."""
        self._host.add(tensor.untyped_storage())
        return tensor

    def on_device(self, tensor: Any) -> Any:
        """Note that this was copied."""
        self._host.discard(tensor.untyped_storage())
        return tensor

    def is_on_host(self, tensor: Any) -> bool:
        return isinstance(tensor, torch.Tensor) and tensor.untyped_storage() in self._host

    def forbid(self, what: str) -> None:
        """Raises:
        CaptureError: a graph is captured.
        """
        if self.capturing is not None:
            raise CaptureError(f"operation not permitted when stream is capturing: {what}")


class Stream:
    """What `torch.cuda.Stream` is to its user."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.waited_for: set[Stream] = set()

    def wait_stream(self, stream: Stream) -> None:
        self.waited_for.add(stream)
        self._rules.unjoined.discard(stream)

    def synchronize(self) -> None:
        self._rules.forbid("synchronize")


class ListGraph:
    """What `torch.cuda.CUDAGraph` is to its user."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.launches: list[Callable[[], launch.Launch]] = []
        self._pool: list[Any] = []

    def own(self, storage: Any) -> None:
        """Memory that was allocated during the capture."""
        self._pool.append(storage)

    def record(self, launched: launch.Launch) -> None:
        """A launch that is captured and not run."""
        if _specialisation(launched) not in self._rules.loaded:
            raise CaptureError(f"operation not permitted when stream is capturing: loading {launched.name}")
        held = {name: _reference(f"{name} of {launched.name}", value) for name, value in launched.arguments.items()}
        kernel, grid, warps, stages = launched.kernel, launched.grid, launched.warps, launched.stages

        def again() -> launch.Launch:
            return launch.Launch(kernel, grid, warps, stages, {name: get() for name, get in held.items()})

        self.launches.append(again)

    def replay(self) -> None:
        self._rules.forbid("the launch of a graph")
        for again in self.launches:
            launch.run(again())


def _reference(name: str, value: Any) -> Thunk:
    """The value again later; of a tensor nothing is kept alive."""
    if not isinstance(value, torch.Tensor):
        return lambda: value
    storage, dtype = weakref.ref(value.untyped_storage()), value.dtype
    place = value.storage_offset(), value.size(), value.stride()

    def tensor() -> Any:
        alive = storage()
        if alive is None:
            raise CaptureError(f"the memory of {name} was given back after the capture")
        return torch.empty(0, dtype=dtype).set_(alive, *place)

    return tensor


class _Watch(TorchDispatchMode):  # type: ignore[misc]
    """Operations of torch while a graph is captured."""

    def __init__(self, rules: Rules, graph: ListGraph) -> None:
        super().__init__()
        self._rules, self._graph = rules, graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        if name.startswith(("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal")):
            self._rules.forbid(name)
        leaves = tree_leaves((args, kwargs))
        if any(self._rules.is_on_host(leaf) for leaf in leaves):
            self._rules.forbid(f"{name} with memory of the host")
        out = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in leaves if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in given:
                self._graph.own(leaf.untyped_storage())
        return out


def _specialisation(launched: launch.Launch) -> str:
    """What a compiled kernel depends on."""
    of: dict[str, Any] = {}
    for name, value in launched.arguments.items():
        if isinstance(value, torch.Tensor):
            of[name] = (str(value.dtype), value.data_ptr() % 16 == 0)
        elif isinstance(value, int) and not name.isupper():
            of[name] = (value == 1, value % 16 == 0)
        else:
            of[name] = value if name.isupper() else type(value).__name__
    return repr((launched.name, launched.warps, launched.stages, of))


@contextmanager
def _captured(rules: Rules, graph: ListGraph) -> Iterator[None]:
    rules.forbid("another capture")
    if rules.unjoined:
        raise CaptureError("a side stream has work that was not waited for")
    before, launch._runner, rules.capturing = launch._runner, graph.record, graph
    try:
        with _Watch(rules, graph):
            yield
    except Exception as err:
        # the capture has become invalid, and its end says so
        raise RuntimeError("operation failed due to a previous error during capture") from err
    finally:
        launch._runner, rules.capturing = before, None


@contextmanager
def _on_stream(rules: Rules, stream: Stream) -> Iterator[None]:
    """Launches inside load their kernels."""
    if rules.main not in stream.waited_for:
        raise CaptureError("a side stream is used that has not waited for the main one")
    runner, before = launch._runner, rules.stream

    def loading(launched: launch.Launch) -> None:
        rules.loaded.add(_specialisation(launched))
        runner(launched)

    launch._runner, rules.stream = loading, stream
    try:
        yield
    finally:
        launch._runner, rules.stream = runner, before
        rules.unjoined.add(stream)


@contextmanager
def list_graphs() -> Iterator[Rules]:
    """Inside, `engine.ops.cuda.graph` captures lists."""
    rules = Rules()
    put, from_numpy = target.put, torch.from_numpy

    def waiting(name: str) -> Callable[..., Any]:
        original = getattr(torch.Tensor, name)

        def method(tensor: Any, *arguments: Any, **options: Any) -> Any:
            rules.forbid(f"Tensor.{name}")
            return original(tensor, *arguments, **options)

        return method

    with ExitStack() as stack:
        for name, stand_in in (
            ("Stream", lambda: Stream(rules)),
            ("current_stream", lambda: rules.stream),
            ("stream", lambda stream: _on_stream(rules, stream)),
            ("CUDAGraph", lambda: ListGraph(rules)),
            ("graph", lambda graph: _captured(rules, graph)),
        ):
            stack.enter_context(mock.patch.object(torch.cuda, name, stand_in))
        for name in ("cpu", "numpy", "tolist"):
            stack.enter_context(mock.patch.object(torch.Tensor, name, waiting(name)))
        stack.enter_context(mock.patch.object(torch, "from_numpy", lambda array: rules.on_host(from_numpy(array))))
        stack.enter_context(mock.patch.object(target, "put", lambda array: rules.on_device(put(array))))
        yield rules
