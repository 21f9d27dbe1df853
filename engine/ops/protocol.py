"""What a backend must provide: the arithmetic of one transformer layer, as eight functions.

A model is written once against `Ops`. `engine.ops.reference` defines every function in plain numpy; the other
backends repeat its signatures and are compared with it. A backend is a *module* that satisfies `Ops`: the model looks
the functions up as attributes at each call, so that a seeded fault can replace one of them.

Axis letters: T new tokens, S cached tokens, D hidden, H heads, Hkv kv heads, Dh head dim, F ffn, V vocab; a weight is
N rows of K.
Steps of a layer that a backend may do in one go are in `engine.ops.fused`; no backend has to.
All activations are float32 and C-contiguous; no function modifies its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops.rotary import PLAIN, Rotary

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A matrix as it lies in the model file: still quantised, usually a read-only view of the mapped file."""

    name: str
    type: GgmlType
    shape: tuple[int, int]
    """(rows N, columns K) in weights."""
    data: U8
    """(N, row_bytes); row_bytes = K / block_size * type_size."""

    def check_rows(self, token_ids: I64) -> None:
        """Whether each token has a row.

        Raises:
            ShapeError: an id is outside 0..N-1.
        """
        rows = self.shape[0]
        if token_ids.size and not (token_ids.min() >= 0 and token_ids.max() < rows):
            bad = token_ids[(token_ids < 0) | (token_ids >= rows)][0]
            raise ShapeError(f"{self.name}: token id {bad} is outside 0..{rows - 1}")


class KeyValueStore(Protocol):
    """What operations need of a KV cache; `engine.kv_cache.KvCache` is one."""

    @property
    def length(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    def room(self, tokens: int) -> int: ...

    def append(self, layer: int, k: F32, v: F32) -> None: ...

    def view(self, layer: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]: ...

    def written(self, tokens: int) -> None: ...


Forward = Callable[[I64, I64, Any], F32]
"""A method of a model: ids (T,), positions (T,) and its KV cache to logits (T, V)."""


class Ops(Protocol):
    """The backend protocol; shapes and formulas are in `engine.ops.reference`."""

    name: str
    """What the run record says ran, for example 'reference' or 'cpu'."""
    precision: str
    """How products are accumulated and which type the activations have, for example 'float32'."""

    def threads(self) -> int: ...

    def slow_types(self, types: frozenset[GgmlType]) -> tuple[GgmlType, ...]: ...

    def embedding(self, weight: Weight, token_ids: I64) -> F32: ...

    def matmul(self, x: F32, weight: Weight) -> F32: ...

    def add_bias(self, x: F32, bias: F32) -> F32: ...

    def add(self, x: F32, y: F32) -> F32: ...

    def rms_norm(self, x: F32, weight: F32, *, eps: float) -> F32: ...

    def rope(self, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32: ...

    def attention(self, q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32: ...

    def swiglu(self, gate: F32, up: F32) -> F32: ...
