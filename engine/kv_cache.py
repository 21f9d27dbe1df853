"""Keys and values of the tokens seen so far, per layer.

Slot s holds position s. A forward appends its T tokens to every layer in order 0..num_layers-1; they count (`length`)
once the last layer has them, so a forward that is interrupted leaves the cache as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ContextError, ShapeError
from engine.ops.protocol import F32

KV_TYPES: Mapping[str, npt.DTypeLike] = MappingProxyType({"f32": np.float32, "f16": np.float16})
"""What keys and values are stored as, by name; f16 rounds to nearest, beyond 65504 to infinity."""

# Room is doubled from here on demand: a context of 32,768 positions costs nothing until it is used.
_FIRST_CAPACITY = 256


class KvCache:
    """Keys (already rotated) and values, (positions, Hkv, Dh) per layer."""

    def __init__(
        self, num_layers: int, num_kv_heads: int, head_dim: int, max_positions: int, kind: str = "f32"
    ) -> None:
        """Args:
        kind: one of `KV_TYPES`.
        """
        self.kind = kind
        self.num_layers = num_layers
        self.max_positions = max_positions
        self._token_shape = (num_kv_heads, head_dim)
        self._length = 0
        self._ends = [0] * num_layers
        self._capacity = min(_FIRST_CAPACITY, max_positions)
        self._keys = [self._room(self._capacity) for _ in range(num_layers)]
        self._values = [self._room(self._capacity) for _ in range(num_layers)]

    @property
    def length(self) -> int:
        """Positions that every layer holds; the next token gets this position."""
        return self._length

    @property
    def capacity(self) -> int:
        """Positions that there is memory for now; the arrays behind `view` stay where they are until it changes."""
        return self._capacity

    @property
    def size_bytes(self) -> int:
        """Memory set aside now."""
        return sum(array.nbytes for array in (*self._keys, *self._values))

    def empty_as(self, kind: str) -> KvCache:
        """Another cache for the same model, empty, that stores what `kind` says."""
        return KvCache(self.num_layers, *self._token_shape, self.max_positions, kind)

    def append(self, layer: int, k: F32, v: F32) -> None:
        """Store k and v (T, Hkv, Dh) of the next T positions.

        Raises:
            ShapeError: k or v do not fit the cache.
            ContextError: there is no room for T more positions.
        """
        self._write(layer, self._length, k, v)

    def view(self, layer: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Keys and values (S, Hkv, Dh) of one layer, tokens being appended included; valid until the next append."""
        end = self._ends[layer]
        return self._keys[layer][:end], self._values[layer][:end]

    def room(self, tokens: int) -> int:
        """Make room for so many more tokens; the capacity then.

        Raises:
            ContextError: there is none.
        """
        end = self._length + tokens
        if end > self.max_positions:
            raise ContextError(f"{end} positions are more than the context of {self.max_positions} holds")
        if end > self._capacity:
            self._grow(end)
        return self._capacity

    def written(self, tokens: int) -> None:
        """Count tokens that were put behind those of `view` in the memory of every layer."""
        self._length += tokens
        self._ends = [self._length] * self.num_layers

    def truncate(self, length: int) -> None:
        """Forget every position from `length` on."""
        self._length = min(self._length, length)
        self._ends = [self._length] * self.num_layers

    def reset(self) -> None:
        """Forget everything."""
        self.truncate(0)

    def _write(self, layer: int, start: int, k: F32, v: F32) -> None:
        if k.shape != v.shape or k.shape[1:] != self._token_shape:
            raise ShapeError(f"kv cache: keys {k.shape} and values {v.shape}, expected (T, *{self._token_shape})")
        end = self._length + k.shape[0]
        self.room(k.shape[0])
        with np.errstate(over="ignore"):
            self._keys[layer][start : start + k.shape[0]] = k
            self._values[layer][start : start + k.shape[0]] = v
        self._ends[layer] = end
        if layer == self.num_layers - 1:
            self._length = end

    def _room(self, positions: int) -> npt.NDArray[Any]:
        return np.zeros((positions, *self._token_shape), dtype=KV_TYPES[self.kind])

    def _grow(self, needed: int) -> None:
        self._capacity = min(self.max_positions, max(needed, 2 * self._capacity))
        for arrays in (self._keys, self._values):
            for layer, old in enumerate(arrays):
                arrays[layer] = self._room(self._capacity)
                arrays[layer][: old.shape[0]] = old
