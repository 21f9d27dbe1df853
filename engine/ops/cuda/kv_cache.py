"""Keys and values on the device: float16, all room set aside at once, slots at fixed places.

The interface of `engine.kv_cache.KvCache`. Where new keys go is read from the positions on the device, so a captured
graph fills slot after slot; `length` is kept on the host, and the owner of a graph moves it on (`advance`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton

from engine.errors import ContextError, ShapeError
from engine.ops.cuda import inputs, target
from engine.ops.cuda.kv_append import kv_append
from engine.ops.cuda.launch import launch
from engine.ops.cuda.sums import settled

_BLOCK = 1024


class DeviceKvCache:
    """Float16 keys (already rotated) and values, (max_positions, Hkv, Dh) per layer."""

    def __init__(self, num_layers: int, num_kv_heads: int, head_dim: int, max_positions: int) -> None:
        self.num_layers = num_layers
        self.max_positions = max_positions
        self._token_shape = (num_kv_heads, head_dim)
        self._length = 0
        shape = (num_layers, max_positions, num_kv_heads, head_dim)
        self._keys = torch.empty(shape, dtype=torch.float16, device=target.device())
        self._values = torch.empty_like(self._keys)

    @property
    def length(self) -> int:
        """Positions that every layer holds; the next token gets this position."""
        return self._length

    @property
    def size_bytes(self) -> int:
        return 2 * int(self._keys.numel()) * 2

    def append(self, layer: int, k: Any, v: Any) -> None:
        """Store k and v (T, Hkv, Dh) of the next T positions.

        Raises:
            ShapeError: k or v do not fit the cache.
            ContextError: there is no room for T more positions.
        """
        tokens = k.shape[0]
        keys, values = self.room_for(layer, tuple(k.shape), tuple(v.shape))
        positions = inputs.positions.put(np.arange(self._length, self._length + tokens, dtype=np.int64))
        width = self._token_shape[0] * self._token_shape[1]
        launch(
            kv_append, (triton.cdiv(width, _BLOCK), 1, tokens), warps=4,
            k=settled(k).contiguous(), v=settled(v).contiguous(), positions=positions, keys=keys, values=values,
            width=width, BLOCK=_BLOCK,
        )  # fmt: skip
        self.appended(layer, tokens)

    def room_for(self, layer: int, k_shape: tuple[int, ...], v_shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Keys and values of one layer, where a kernel writes those of the next T positions; then call `appended`.

        Raises:
            ShapeError, ContextError: as `append`.
        """
        if k_shape != v_shape or k_shape[1:] != self._token_shape:
            raise ShapeError(f"kv cache: keys {k_shape} and values {v_shape}, expected (T, *{self._token_shape})")
        if (end := self._length + k_shape[0]) > self.max_positions:
            raise ContextError(f"{end} positions are more than the context of {self.max_positions} holds")
        return self.view(layer)

    def appended(self, layer: int, tokens: int) -> None:
        """Count T positions once the last layer has them."""
        if layer == self.num_layers - 1:
            self._length += tokens

    def view(self, layer: int) -> tuple[Any, Any]:
        """Keys and values (S, Hkv, Dh) of one layer, all their room; slots past the last position hold anything."""
        return self._keys[layer], self._values[layer]

    def advance(self) -> None:
        """Count one position that a graph has written."""
        self._length += 1

    def truncate(self, length: int) -> None:
        """Forget every position from `length` on."""
        self._length = min(self._length, length)

    def reset(self) -> None:
        """Forget everything."""
        self._length = 0

    def release(self) -> None:
        """Give the memory back; nothing can be appended or viewed from now on."""
        self._length = self.max_positions = 0
        self._keys = self._values = self._keys[:0].clone()
