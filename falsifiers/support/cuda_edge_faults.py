"""Seeded faults of the CUDA backend at its edges: kernels that overlap, pairs of a head, windows.

Each is a context manager without arguments, and enters before a kernel is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

from falsifiers.support import cuda

_INSIDE_KERNELS = SimpleNamespace(applied=True)
"""What is changed is compiled or a constant: no code of this file runs."""
MATVECS = ("q4_k_matvec", "q6_k_matvec", "q8_0_matvec", "float_matvec")


@contextmanager
def _in_products(step: str, instead: str) -> Iterator[SimpleNamespace]:
    """One step of `engine.ops.cuda.dependent` in place of another, in the kernels of products."""
    stand_in = getattr(cuda.module("dependent"), instead)
    with ExitStack() as stack:
        for name in MATVECS:
            stack.enter_context(mock.patch.object(cuda.module(name), step, stand_in))
        yield _INSIDE_KERNELS


def nobody_waits() -> Any:
    """Products begin early and read activations that may not be there yet."""
    return _in_products("wait_for_previous", "release_next")


def waits_before_weights() -> Any:
    """Products wait first and load their weights after that: correct, and nothing is won."""
    return _in_products("release_next", "wait_for_previous")


@contextmanager
def one_by_one() -> Iterator[SimpleNamespace]:
    """The table says that no kernel begins early."""
    configs = cuda.module("configs")
    tables = {sm: replace(table, dependent_launch=False) for sm, table in configs.TABLES.items()}
    with mock.patch.dict(configs.TABLES, tables):
        yield _INSIDE_KERNELS


@contextmanager
def pairs_always_apart() -> Iterator[None]:
    """Pairs are half a head apart, whatever the model says."""

    def wrong(turn: Any) -> Any:
        def turned(*arguments: Any, rotary: Any, **options: Any) -> Any:
            return turn(*arguments, rotary=replace(rotary, adjacent=False), **options)

        return turned

    resident = cuda.module("resident")
    with ExitStack() as stack:
        for name in ("rope", "rope_append"):
            stack.enter_context(mock.patch.object(resident, name, wrong(getattr(resident, name))))
        yield


def _window(change: Any) -> Any:
    resident = cuda.module("resident")
    original = resident.attention

    def wrong(*arguments: Any, window: int | None = None, **options: Any) -> Any:
        return original(*arguments, window=change(window), **options)

    return mock.patch.object(resident, "attention", wrong)


def window_ignored() -> Any:
    """Every query sees all slots up to its own."""
    return _window(lambda _: None)


def window_one_too_wide() -> Any:
    """A query sees one slot more than its window holds."""
    return _window(lambda window: None if window is None else window + 1)


@contextmanager
def sizes_are_converted() -> Iterator[None]:
    """Kernels call a method of every size, which a size of 1 has not: it is a constant to the compiler."""
    compiled = cuda.module("compiled")
    original = compiled.binary

    def wrong(launched: Any, capability: int) -> Any:
        if any(value == 1 for name, value in launched.arguments.items() if name in ("size", "rows", "heads")):
            raise AttributeError("'int' object has no attribute 'to'")
        return original(launched, capability)

    with mock.patch.object(compiled, "binary", wrong):
        yield
