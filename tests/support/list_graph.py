"""In place of CUDA graphs under the interpreter: the launches of a capture, run again at each replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch

from engine.ops.cuda import launch


class ListGraph:
    """What `torch.cuda.CUDAGraph` is to its user."""

    def __init__(self) -> None:
        self.launches: list[launch.Launch] = []

    def replay(self) -> None:
        for launched in self.launches:
            launch.run(launched)


class _NoStream:
    def wait_stream(self, _: object) -> None: ...


@contextmanager
def _capturing(captured: ListGraph) -> Iterator[None]:
    before, launch._runner = launch._runner, captured.launches.append
    try:
        yield
    finally:
        launch._runner = before


@contextmanager
def _stream(_: object) -> Iterator[None]:
    yield


@contextmanager
def list_graphs() -> Iterator[None]:
    """Inside, `engine.ops.cuda.graph` captures lists."""
    with ExitStack() as stack:
        for name, stand_in in (
            ("Stream", _NoStream),
            ("current_stream", _NoStream),
            ("stream", _stream),
            ("CUDAGraph", ListGraph),
            ("graph", _capturing),
        ):
            stack.enter_context(mock.patch.object(torch.cuda, name, stand_in))
        yield
