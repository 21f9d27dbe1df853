"""Arithmetic that is right and differs only by rounding: what a precision may cost, operation by operation.

    order        of the terms of a sum: as BLAS has it; 32 columns at a time, the last first; 64 at a time; 8 lanes,
                 as SIMD has them; partial sums are added in float32
    activations  before products, in blocks to integers times max|x| / R: R = 127 (q8), 32,384 (q16); or rows to float16
    kv           keys and values as they are, or as float16

Four orders, because the error of an attention hangs on the rounding of a few large scores: with two, right backends
came to 2.5 times the larger of them, in one of 240 layers and prompts.
All else is `engine.ops.reference`, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from engine.bisect.double import decoded
from engine.gguf.types import layout
from engine.ops import reference
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import PLAIN, Rotary
from engine.ops.rounded import QUANTISED, in_8_bits, in_float16

_REACH = {"q8": 127.0, "q16": 127.0 * 254.0 + 126.0}

Rounding = Callable[[F32, Weight], F32]
Parts = Callable[[int], list[slice]]
"""Splits so many columns into parts, in the order in which they are added."""


@dataclass(frozen=True, slots=True)
class Precision:
    """What a side claims of its arithmetic."""

    backend: str
    activations: str
    """f32, q16 or q8."""
    kv_cache: str
    """f32 or f16."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Precision:
        """From a run record, `Llm.run_facts`."""
        return cls(str(facts["backend"]), str(facts["precision_mode"]), str(facts["kv_cache"]))

    def __str__(self) -> str:
        return f"{self.activations} activations, {self.kv_cache} keys and values"

    def witnesses(self) -> tuple[Witness, ...]:
        """Right ways to compute in this precision."""
        narrow = self.kv_cache == "f16"
        if self.activations == "f32":
            roundings: tuple[Rounding, ...] = (_as_it_is,)
        elif self.backend == "cuda":
            roundings = (_small_blocks, _half_rows)
        else:
            roundings = (_weight_blocks(_REACH[self.activations]),)
        return tuple(Witness(rounding, parts, narrow) for rounding in roundings for parts in _ORDERS)


class Witness:
    """Satisfies `engine.ops.protocol.Ops`."""

    name = "witness"
    precision = "float32"

    def __init__(self, rounding: Rounding, parts: Parts | None, narrow: bool) -> None:
        """Args:
        parts: None: as the reference has it.
        narrow: keys and values as float16.
        """
        self._rounding = rounding
        self._parts = parts
        self._narrow = narrow

    def embedding(self, weight: Weight, token_ids: I64) -> F32:
        return reference.embedding(weight, token_ids)

    def matmul(self, x: F32, weight: Weight) -> F32:
        x = self._rounding(x, weight)
        if self._parts is None:
            return self._product(x, weight, [slice(None)])
        return self._product(x, weight, self._parts(x.shape[1]))

    def _product(self, x: F32, weight: Weight, parts: Sequence[slice]) -> F32:
        out: F32 = np.zeros((x.shape[0], weight.shape[0]), np.float32)
        for some_rows, values in decoded(weight):
            for columns in parts:
                out[:, some_rows] += x[:, columns] @ values[:, columns].T
        return out

    def add_bias(self, x: F32, bias: F32) -> F32:
        return reference.add_bias(x, bias)

    def add(self, x: F32, y: F32) -> F32:
        return reference.add(x, y)

    def rms_norm(self, x: F32, weight: F32, *, eps: float) -> F32:
        if self._parts is None:
            return reference.rms_norm(x, weight, eps=eps)
        # one running sum of squares, the longest chain of roundings there is
        order = _order(self._parts, x.shape[1])
        squares: F32 = np.cumsum(np.square(x[:, order]), axis=1, dtype=np.float32)[:, -1:]
        inverse = np.float32(1) / np.sqrt(squares / np.float32(x.shape[1]) + np.float32(eps))
        normalised: F32 = x * inverse * weight
        return normalised

    def rope(self, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32:
        return reference.rope(x, positions, theta=theta, rotary=rotary)

    def attention(self, q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32:
        if self._narrow:
            with np.errstate(over="ignore"):
                k, v = (array.astype(np.float16).astype(np.float32) for array in (k, v))
        if self._parts is not None:
            order = _order(self._parts, q.shape[2])
            q, k = q[..., order], k[..., order]
        return reference.attention(q, k, v, positions, window=window)

    def swiglu(self, gate: F32, up: F32) -> F32:
        if self._parts is None:
            return reference.swiglu(gate, up)
        with np.errstate(over="ignore"):
            return cast("F32", gate * up / (np.float32(1) + np.exp(-gate)))


def _blocks_backwards(columns: int) -> list[slice]:
    return [slice(max(0, end - 32), end) for end in range(columns, 0, -32)]


def _blocks(columns: int) -> list[slice]:
    return [slice(start, start + 64) for start in range(0, columns, 64)]


def _lanes(columns: int) -> list[slice]:
    return [slice(lane, None, 8) for lane in range(min(8, columns))]


def _order(parts: Parts, columns: int) -> npt.NDArray[np.int64]:
    numbers = np.arange(columns)
    return np.concatenate([numbers[part] for part in parts(columns)])


_ORDERS: tuple[Parts | None, ...] = (None, _blocks_backwards, _blocks, _lanes)


def _as_it_is(x: F32, weight: Weight) -> F32:  # noqa: ARG001 - a rounding
    return x


def _small_blocks(x: F32, weight: Weight) -> F32:
    return in_8_bits(x) if weight.type in QUANTISED else x


def _half_rows(x: F32, weight: Weight) -> F32:
    return in_float16(x) if weight.type in QUANTISED else x


def _weight_blocks(reach: float) -> Rounding:
    def rounded(x: F32, weight: Weight) -> F32:
        """In blocks as long as the weight's, as `engine.ops.cpu.activations`; plain numbers have blocks of 1."""
        block = layout(weight.type)[0]
        if block == 1:
            return x
        blocks = x.reshape(x.shape[0], -1, block)
        d = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(reach)
        quants = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
        return cast("F32", (quants * d).reshape(x.shape))

    return rounded
