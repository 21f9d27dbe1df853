"""The reference arithmetic in float64: `engine.ops.reference`, formula by formula, with nothing rounded to float32.

Weights are what their codec decodes, float32, and become float64 exactly. Sums of 10,000 terms are then right to about
1e-14, so that a difference to any float32 arithmetic is that arithmetic's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from engine import quant
from engine.gguf.types import GgmlType
from engine.kv_cache import KvCache
from engine.models.protocol import Model
from engine.ops.protocol import F32, I64, U8, Weight
from engine.ops.rotary import PLAIN, Rotary, frequencies

F64 = npt.NDArray[np.float64]

# 2^20 decoded weights are 4 MiB in float32 and 8 MiB in float64.
_DECODED_WEIGHTS_AT_ONCE = 1 << 20


def decoded(weight: Weight) -> Iterator[tuple[slice, F32]]:
    """Slices of rows of a weight, decoded: no whole copy of a large matrix exists.

    A matrix of one slice is kept until another is asked for: float64 and the witnesses read the same one in turn.
    """
    rows, columns = weight.shape
    step = max(1, _DECODED_WEIGHTS_AT_ONCE // columns)
    if rows <= step:
        yield slice(rows), _decoded_whole(weight, quant.decode)
        return
    for start in range(0, rows, step):
        yield slice(start, start + step), quant.decode(weight.type, weight.data[start : start + step])


@functools.lru_cache(maxsize=1)
def _decoded_whole(weight: Weight, decode: Callable[[GgmlType, U8], F32]) -> F32:
    # by the codec of the moment: a seeded fault in it must not meet what was decoded before
    return decode(weight.type, weight.data)


class Double:
    """Satisfies `engine.ops.protocol.Ops`, with float64 for float32; shapes and formulas are in `ops.reference`."""

    name = "float64"
    precision = "float64"

    def embedding(self, weight: Weight, token_ids: I64) -> F64:
        return quant.decode(weight.type, weight.data[token_ids]).astype(np.float64)

    def matmul(self, x: F64, weight: Weight) -> F64:
        out = np.empty((x.shape[0], weight.shape[0]))
        for part, values in decoded(weight):
            out[:, part] = x @ values.T.astype(np.float64)
        return out

    def add_bias(self, x: F64, bias: F32) -> F64:
        return x + bias.astype(np.float64)

    def add(self, x: F64, y: F64) -> F64:
        return x + y

    def rms_norm(self, x: F64, weight: F32, *, eps: float) -> F64:
        normalised: F64 = x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + eps)
        return normalised * weight.astype(np.float64)

    def rope(self, x: F64, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F64:
        half = x.shape[2] // 2
        angles = positions[:, None] * frequencies(x.shape[2], theta, rotary)
        turn = (np.exp(1j * angles) * rotary.magnitude)[:, None, :]
        places = (slice(0, None, 2), slice(1, None, 2)) if rotary.adjacent else (slice(half), slice(half, None))
        turned = (x[..., places[0]] + 1j * x[..., places[1]]) * turn
        out = np.empty_like(x)
        out[..., places[0]], out[..., places[1]] = turned.real, turned.imag
        return out

    def attention(self, q: F64, k: F64, v: F64, positions: I64, *, window: int | None = None) -> F64:
        _, heads, head_dim = q.shape
        slots, kv_heads, _ = k.shape
        distance = positions[:, None] - np.arange(slots)
        seen = (distance >= 0) & (distance < (slots if window is None else window))
        out = np.empty_like(q)
        # head by head: the scores of all heads at once would be H times as large
        for head in range(heads):
            group = head // (heads // kv_heads)
            scores = np.where(seen, q[:, head] @ k[:, group].T / np.sqrt(head_dim), -np.inf)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            out[:, head] = weights / weights.sum(axis=-1, keepdims=True) @ v[:, group]
        return out

    def swiglu(self, gate: F64, up: F64) -> F64:
        with np.errstate(over="ignore"):  # exp(-gate) = inf gives the right limit, -0
            activated: F64 = gate / (1 + np.exp(-gate)) * up
        return activated


class OneForward:
    """What a forward needs of a KV cache that starts empty: keys and values of one layer as they are given."""

    length = 0

    def __init__(self, max_positions: int) -> None:
        self.max_positions = max_positions
        self._layer: tuple[int, Any, Any] | None = None

    @classmethod
    def of(cls, model: Model) -> KvCache:
        """For at most the context of a model."""
        return cast("KvCache", cls(model.config.context_length))

    def append(self, layer: int, k: Any, v: Any) -> None:
        self._layer = layer, k, v

    def view(self, layer: int) -> tuple[Any, Any]:
        assert self._layer is not None
        assert self._layer[0] == layer
        return self._layer[1:]
