"""Seeded faults for claims about memory, order of sums, tracing and backends; `engine.faults` has all others.

Each is a context manager without arguments that replaces one function of the engine while it is entered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

IN_CHILD = "PV_FALSIFIER_FAULTS"
"""Environment variable: names of faults that a falsifier's child process enters as well, separated by spaces."""


def for_child() -> dict[str, str]:
    """What a falsifier adds to the environment of its child."""
    return {IN_CHILD: os.environ[IN_CHILD]} if IN_CHILD in os.environ else {}


@contextmanager
def gguf_size_unchecked() -> Iterator[None]:
    """Tensor infos are believed: the file is taken to be a pebibyte long."""
    reader: Any = import_module("engine.gguf.reader")
    original = reader.read_tensors

    def believing(cursor: Any, *arguments: Any) -> Any:
        size, cursor.size_bytes = cursor.size_bytes, 1 << 50
        try:
            return original(cursor, *arguments)
        finally:
            cursor.size_bytes = size

    with mock.patch.object(reader, "read_tensors", believing):
        yield


@contextmanager
def weights_decoded_at_load() -> Iterator[None]:
    """Every matrix is decoded to float32 when the model is loaded."""
    from engine import quant
    from engine.gguf.types import GgmlType
    from engine.models.tensors import TensorTable

    original = TensorTable.matrix

    def decoded(self: TensorTable, name: str, shape: tuple[int, int]) -> Any:
        weight = original(self, name, shape)
        values = quant.decode(weight.type, weight.data)
        return replace(weight, type=GgmlType.F32, data=values.view(np.uint8))

    with mock.patch.object(TensorTable, "matrix", decoded):
        yield


@contextmanager
def threads_change_sums() -> Iterator[None]:
    """With several threads each adds a share of the columns, and the shares are added."""
    from engine.ops import cpu

    original = cpu.matmul

    def shared(x: npt.NDArray[np.float32], weight: Any) -> npt.NDArray[np.float32]:
        if cpu.threads() == 1:
            return original(x, weight)
        left, right = x.copy(), x.copy()
        left[:, x.shape[1] // 2 :] = 0
        right[:, : x.shape[1] // 2] = 0
        return original(left, weight) + original(right, weight)

    with mock.patch.object(cpu, "matmul", shared):
        yield


@contextmanager
def tap_runs_another_forward() -> Iterator[None]:
    """With a tap the logits come from a forward that rounds otherwise."""
    from engine.models.qwen2 import Qwen2

    original = Qwen2.forward

    def traced(self: Qwen2, token_ids: Any, kv_cache: Any, *, tap: Any = None, last_only: bool = False) -> Any:
        logits = original(self, token_ids, kv_cache, tap=tap, last_only=last_only)
        return logits if tap is None else logits * np.float32(1 + 2.0**-20)

    with mock.patch.object(Qwen2, "forward", traced):
        yield


@contextmanager
def tap_shows_stale_arrays() -> Iterator[None]:
    """A tap is shown the arrays of layer 0 for every layer."""
    from engine.models.qwen2 import Qwen2

    original = Qwen2.forward

    def stale(self: Qwen2, token_ids: Any, kv_cache: Any, *, tap: Any = None, last_only: bool = False) -> Any:
        first: dict[str, Any] = {}

        class Stale:
            on_request = getattr(tap, "on_request", ())

            def __call__(self, name: str, layer: int | None, array: Any) -> None:
                tap(name, layer, array if layer is None else first.setdefault(name, array))

        return original(self, token_ids, kv_cache, tap=Stale() if tap else None, last_only=last_only)

    with mock.patch.object(Qwen2, "forward", stale):
        yield


@contextmanager
def scores_of_another_formula() -> Iterator[None]:
    """Attention scores come from a formula beside production's, which has forgotten the scale."""
    from engine.ops import weighing

    original = weighing.scores

    def unscaled(ops: Any, q: Any, k: Any, positions: Any, **limits: Any) -> Any:
        return original(ops, q * np.float32(q.shape[2] ** 0.5), k, positions, **limits)

    with mock.patch.object(weighing, "scores", unscaled):
        yield


class _Fallback(ModuleType):
    """Says that it is the CPU backend, and runs the reference."""

    precision = "float32"

    def __getattr__(self, attribute: str) -> Any:
        from engine.ops import reference

        return getattr(reference, attribute)


@contextmanager
def silent_fallback() -> Iterator[None]:
    """Another backend runs than was asked for, and the run record does not say so."""
    from engine import models

    fallback = _Fallback("cpu")
    fallback.name = "cpu"  # type: ignore[attr-defined]
    with mock.patch.object(models, "load_ops", return_value=fallback):
        yield


@contextmanager
def no_gpu_ignored() -> Iterator[None]:
    """Loading a model looks for a GPU whatever the flags say; entered in a falsifier's child as well."""
    from engine.llm import Llm

    original = Llm.__init__

    def probing(self: Llm, *arguments: Any, **options: Any) -> None:
        with suppress(Exception):  # no such package, or no driver: it has looked
            __import__("pynvml").nvmlInit()
        original(self, *arguments, **options)

    before: Sequence[str] = os.environ.get(IN_CHILD, "").split()
    names = " ".join([*before, "no_gpu_ignored"])
    with mock.patch.dict(os.environ, {IN_CHILD: names}), mock.patch.object(Llm, "__init__", probing):
        yield


def _every_integer_product(product: Callable[..., Any]) -> AbstractContextManager[Any]:
    """Take `product` (ops, x, weight) for every product of the fast precisions, those that share an input included."""
    from engine.ops.cpu.integer import IntegerOps

    def one_by_one(self: IntegerOps, x: Any, weights: Sequence[Any]) -> list[Any]:
        return [product(self, x, weight) for weight in weights]

    return mock.patch.multiple(IntegerOps, matmul=product, multiply_all=one_by_one)


@contextmanager
def integer_tile_rounds_otherwise() -> Iterator[None]:
    """Products of several tokens join their blocks in another order than those of one."""
    from engine.ops.cpu.integer import IntegerOps

    original = IntegerOps.matmul

    def otherwise(self: IntegerOps, x: Any, weight: Any) -> Any:
        out = original(self, x, weight)
        return out if len(x) == 1 else out * np.float32(1 + 2.0**-22)

    with _every_integer_product(otherwise):
        yield


@contextmanager
def _in_child_too(name: str) -> Iterator[None]:
    before: Sequence[str] = os.environ.get(IN_CHILD, "").split()
    with mock.patch.dict(os.environ, {IN_CHILD: " ".join([*before, name])}):
        yield


@contextmanager
def integer_weights_decoded() -> Iterator[None]:
    """Every product of the fast precisions takes a float32 copy of its weight, which is kept; in a child as well."""
    from engine import quant
    from engine.gguf.types import GgmlType
    from engine.ops.cpu import floats

    copies: dict[int, Any] = {}

    def decoded(self: Any, x: Any, weight: Any) -> Any:
        if id(weight) not in copies:
            values = np.ascontiguousarray(quant.decode(weight.type, weight.data))
            copies[id(weight)] = weight, replace(weight, type=GgmlType.F32, data=values.view(np.uint8))
        return floats.matmul(self.pool, x, copies[id(weight)][1])

    with _in_child_too("integer_weights_decoded"), _every_integer_product(decoded):
        yield


@contextmanager
def integer_weights_copied() -> Iterator[None]:
    """Rearranged weights are kept beside a copy of those of the file; in a child as well."""
    from engine.ops.cpu import interleave

    original, kept = interleave.interleave, []

    def copied(weight: Any, *rest: Any) -> Any:
        kept.append(weight.data.copy())
        return original(weight, *rest)

    with _in_child_too("integer_weights_copied"), mock.patch.object(interleave, "interleave", copied):
        yield


@contextmanager
def integer_products_by_decoding() -> Iterator[None]:
    """The fast precisions multiply as float32 does: weights decoded at every use."""
    from engine.ops.cpu import floats

    def slow(self: Any, x: Any, weight: Any) -> Any:
        return floats.matmul(self.pool, x, weight)

    with _every_integer_product(slow):
        yield


@contextmanager
def exact_products_in_16_bits() -> Iterator[None]:
    """The precision f32 runs what q16 runs."""
    from engine.ops import cpu
    from engine.ops.cpu.integer import IntegerOps

    rounded = IntegerOps("q16", 1)

    def wrong(x: Any, weight: Any) -> Any:
        return rounded.matmul(x, weight)

    with mock.patch.object(cpu, "matmul", wrong):
        yield
