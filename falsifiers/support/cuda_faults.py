"""Seeded faults for claims about launches, speed, memory and compilation; those of kernels are in `engine.faults.cuda`.

Each is a context manager without arguments. They work on a GPU and under the interpreter alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from engine.gguf.types import GgmlType
from falsifiers.support import cuda


@contextmanager
def _wrong(module: str, name: str, wrong: Callable[..., Any]) -> Iterator[None]:
    """`wrong(original, *arguments)` in place of a function of the backend."""
    owner = cuda.module(module)
    original = getattr(owner, name)

    def replacement(*arguments: Any, **options: Any) -> Any:
        return wrong(original, *arguments, **options)

    with mock.patch.object(owner, name, replacement):
        yield


def not_finite_hidden() -> Any:
    """NaN and infinity become numbers before they are quantised, as by a maximum that skips NaN."""

    def wrong(put: Any, array: Any) -> Any:
        return put(np.nan_to_num(array, nan=0.0, posinf=1e4, neginf=-1e4) if array.dtype == np.float32 else array)

    return _wrong("target", "put", wrong)


@contextmanager
def nothing_fused() -> Iterator[SimpleNamespace]:
    """Every step of a layer is a launch of its own."""
    with ExitStack() as entered:
        for name in ("multiply_all", "rope_append", "add_product", "gated_product"):
            entered.enter_context(mock.patch.object(cuda.module("resident"), name, None))
        # names that are gone run no code of this file
        yield SimpleNamespace(applied=True)


def tap_recomputes() -> Any:
    """With a tap the logits come from a forward that rounds otherwise."""
    from engine.models.on_device import OnDevice

    original = OnDevice.forward

    def traced(self: OnDevice, *arguments: Any, tap: Any = None, **options: Any) -> Any:
        logits = original(self, *arguments, tap=tap, **options)
        return logits if tap is None else logits * np.float32(1 + 2.0**-20)

    return mock.patch.object(OnDevice, "forward", traced)


def gate_lets_all_pass() -> Any:
    """The gate measures, and accepts whatever it finds."""
    from engine.models import parity_gate

    def accepting(*arguments: Any, steps: int = parity_gate.STEPS, precision: str = "") -> Any:
        del precision
        return parity_gate.compare(*arguments, steps=steps)

    return mock.patch.object(parity_gate, "require", accepting)


def weights_in_float32() -> Any:
    """A float32 copy of every weight stays on the device."""
    kept: list[Any] = []

    def wrong(upload: Any, weight: Any) -> Any:
        found = upload(weight)
        kept.append(cuda.module("target").put(np.zeros(weight.shape, np.float32)))
        return found

    return _wrong("weights", "upload", wrong)


@contextmanager
def sums_in_any_order() -> Iterator[None]:
    """Products differ in the last bits from run to run, as with atomic additions; entered in children as well."""
    rng = np.random.default_rng()

    def wrong(multiply: Any, x: Any, weight: Any, *, exact: bool) -> Any:
        found = multiply(x, weight, exact=exact)
        return replace(found, parts=found.parts * float(1 + rng.integers(0, 1 << 10) * 2.0**-22))

    with cuda.planting("sums_in_any_order"), _wrong("products", "multiply", wrong):
        yield


def launches_not_counted() -> Any:
    """The counters lose what was launched before they are asked again."""
    launch = cuda.module("launch")
    original = launch.counts

    def lost() -> dict[str, int]:
        counted = original()
        return {name: min(number, 1) for name, number in counted.items()}

    return mock.patch.object(launch, "counts", lost)


@contextmanager
def every_forward_waits() -> Iterator[None]:
    """Half a second passes before every token: slower than any CPU with a model that is worth a GPU."""
    import time

    from engine.models.on_device import OnDevice

    original = OnDevice.next_token

    def slow(self: OnDevice, *arguments: Any) -> int:
        time.sleep(0.5)
        return original(self, *arguments)

    with mock.patch.object(OnDevice, "next_token", slow):
        yield


def alignment_not_promised() -> Any:
    """Kernels are compiled without the alignment of their arguments."""
    return _wrong("compiled", "specialise", lambda specialise, launched: (*specialise(launched)[:2], {}))


def products_by_shifts() -> Any:
    """The four products of dp4a are computed one by one, as under the interpreter."""
    return _wrong("target", "assembly", lambda _: False)


def one_warp_for_all() -> Any:
    """A tile of 64 rows of Q4_K is given to a single warp."""

    def wrong(table: Any) -> Any:
        found = table()
        tile = replace(found.matvec[GgmlType.Q4_K], rows=64, warps=1)
        return replace(found, matvec={**found.matvec, GgmlType.Q4_K: tile})

    return _wrong("configs", "table", wrong)


def a_tile_too_large() -> Any:
    """Attention in prefill takes 128 tokens and 128 slots at once, more than registers hold."""

    def wrong(table: Any) -> Any:
        found = table()
        return replace(found, attention=replace(found.attention, tokens=128, slots=128))

    return _wrong("configs", "table", wrong)


def embedding_not_compiled() -> Any:
    """The compile gate leaves out the embedding."""
    return _wrong("resident", "embedding", lambda _embedding, _weight, _ids: None)


def row_forgotten() -> Any:
    """There is a kernel more, and it has no row among the edge cases."""
    original = cuda.kernels

    def with_another() -> frozenset[str]:
        return original() | {"new_kernel"}

    return mock.patch.object(cuda, "kernels", with_another)


@contextmanager
def launched_for_nothing() -> Iterator[None]:
    """A sum over no elements is counted as a launch."""
    resident, launch = cuda.module("resident"), cuda.module("launch")
    original = resident._sum

    def counted(x: Any, y: Any) -> Any:
        launch.add_counts({"add": int(x.numel() == 0)})
        return original(x, y)

    with mock.patch.object(resident, "_sum", counted):
        yield
