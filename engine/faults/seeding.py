"""Putting a fault into the engine, and taking it out again.

A fault takes the place of what is looked up at call time: `q4_k.decode`, `ops.rope`, a method. A name bound before by
`from engine.quant.q4_k import decode` keeps the right function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import quant
from engine.gguf import reader
from engine.gguf.cursor import Cursor
from engine.gguf.tensors import TensorInfo
from engine.gguf.types import GgmlType
from engine.ops.protocol import F32, U8, Ops, Weight

Seeded = AbstractContextManager[None]
Wrong = Callable[..., Any]
"""Called as wrong(original, *arguments) in place of original(*arguments)."""


@contextmanager
def seeded(*places: tuple[object, str, Wrong]) -> Iterator[None]:
    """Replace attributes of modules or classes, and put the originals back whatever happens."""
    originals = [(owner, name, vars(owner)[name]) for owner, name, _ in places]
    for (owner, name, wrong), (_, _, original) in zip(places, originals, strict=True):
        setattr(owner, name, _bound(wrong, original))
    try:
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


def _bound(wrong: Wrong, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return wrong(original, *args, **kwargs)

    return replacement


def on_ops(name: str, wrong: Wrong) -> Seeded:
    """The same fault in both backends."""
    modules = [import_module(f"engine.ops.{backend}") for backend in ("reference", "cpu")]
    return seeded(*((module, name, wrong) for module in modules))


def on_weights(module: Any, kind: GgmlType, misread: Callable[[Callable[[U8], F32], U8], F32]) -> Seeded:
    """Weights of one type are misread: by the codec, and by the matmul and embedding of both backends.

    Args:
        module: the codec, such as `engine.quant.q4_k`.
        misread: called with the right decode and the packed rows.
    """
    right = module.decode

    def wrong_codec(original: Any, raw: U8) -> F32:
        return misread(original, raw)

    def wrong_decode(original: Any, type_: GgmlType, raw: U8) -> Any:
        return misread(right, raw) if type_ == kind else original(type_, raw)

    def wrong_matmul(original: Any, x: F32, weight: Weight) -> Any:
        if weight.type != kind:
            return original(x, weight)
        values = np.ascontiguousarray(misread(right, weight.data))
        return original(x, replace(weight, type=GgmlType.F32, data=values.view(np.uint8)))

    return seeded(
        (module, "decode", wrong_codec),
        (quant, "decode", wrong_decode),
        (import_module("engine.ops.cpu"), "matmul", wrong_matmul),
    )


def with_bytes(type_size: int, start: int, end: int, change: Callable[[U8], npt.NDArray[Any]]) -> Callable[..., F32]:
    """Decode with bytes start..end of each block changed."""

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        blocks = np.array(raw).reshape(-1, type_size)
        blocks[:, start:end] = change(blocks[:, start:end])
        return decode(blocks.reshape(raw.shape))

    return misread


def on_tensor_infos(change: Callable[[Cursor, TensorInfo, int], TensorInfo]) -> Seeded:
    def wrong(
        read: Any, cursor: Cursor, count: int, alignment: int, types: Collection[GgmlType]
    ) -> tuple[dict[str, TensorInfo], list[str]]:
        tensors, warnings = read(cursor, count, alignment, types)
        return {name: change(cursor, info, alignment) for name, info in tensors.items()}, warnings

    return seeded((reader, "read_tensors", wrong))


class Except:
    """A backend with some operations replaced."""

    def __init__(self, ops: Ops, **replaced: Callable[..., Any]) -> None:
        self._ops = ops
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._ops, name)
