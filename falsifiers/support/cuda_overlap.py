"""Kernels that begin before the one before them has ended, on the host: the interpreter runs one after the other.

In place of the overlap, all that other kernels may write is spoilt where a program begins and made good where it waits:
what it reads before the wait is wrong, and what it writes there is lost. Only what was uploaded at load stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from engine.models.on_device import OnDevice
from falsifiers.support import cuda

FLAG = "DEPENDENT"


class Overlap:
    """Spoils and restores the memory of one launch after the other."""

    def __init__(self, at_rest: frozenset[int]) -> None:
        """Args:
        at_rest: where storages begin that no kernel writes.
        """
        self.launches = 0
        self._at_rest = at_rest
        self._arrays: list[Any] = []
        self._saved: list[tuple[Any, Any]] = []

    def begin(self, launched: Any) -> None:
        """Note whose memory the programs that follow use."""
        arrays = [value for value in launched.arguments.values() if hasattr(value, "untyped_storage")]
        self._arrays = [array for array in arrays if array.untyped_storage().data_ptr() not in self._at_rest]
        self._saved = []
        self.launches += 1

    def release(self) -> None:
        """The first step of a program."""
        if self._saved:
            return
        for array in self._arrays:
            self._saved.append((array, array.clone()))
            array.fill_(float("nan") if array.is_floating_point() else 77)

    def wait(self) -> None:
        """The programs of earlier kernels have ended."""
        # arrays may share memory: what was saved first goes back last
        while self._saved:
            array, was = self._saved.pop()
            array.copy_(was)


def _at_rest(model: OnDevice) -> frozenset[int]:
    """Weights, vectors and tables of angles of a model."""
    residence = model._residence
    found = []
    for _, kept in residence._kept.values():
        found += list(kept.planes.values()) if hasattr(kept, "planes") else [kept]
    config: Any = model.config
    table = cuda.module("angles").quarters(
        config.head_dim, float(config.rope_theta), str(cuda.module("target").device()), config.rotary
    )
    return frozenset(array.untyped_storage().data_ptr() for array in (*found, table))


@contextmanager
def overlapping(model: OnDevice) -> Iterator[Overlap]:
    """Inside, kernels overlap: on a GPU as its table says, under the interpreter in the worst way there is."""
    launch = cuda.module("launch")
    runner, overlap = launch._runner, Overlap(_at_rest(model))

    def watched(launched: Any) -> None:
        if launched.arguments.get(FLAG):
            overlap.begin(launched)
        runner(launched)

    if not cuda.is_interpreted():
        with mock.patch.object(launch, "_runner", watched):
            yield overlap
        return
    import triton.language as tl

    with (
        mock.patch.object(launch, "_runner", watched),
        mock.patch.object(cuda.module("configs"), "dependent_launch", return_value=True),
        mock.patch.object(tl.extra.cuda, "gdc_launch_dependents", overlap.release),
        mock.patch.object(tl.extra.cuda, "gdc_wait", overlap.wait),
    ):
        yield overlap
