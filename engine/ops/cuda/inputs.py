"""Token ids and positions on the device, in buffers that stay where they are.

A model computes them on the host, once per forward, and hands the same arrays to many operations. They are copied when
they differ from what the buffer holds. While a graph is captured (`frozen`) nothing is copied: the kernels read the
buffer, whose content is set before each replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from engine.ops.cuda import target
from engine.ops.protocol import I64

_ROOM = 4096
"""Entries from the start: more tokens at once than a chunk of prefill has, so that captured graphs stay valid."""


class Buffer:
    """One array of int64, at a fixed place."""

    def __init__(self) -> None:
        self._tensor: Any = None
        self._held: I64 | None = None
        self._frozen = False

    @property
    def address(self) -> int:
        """Where the buffer begins; it moves only when more entries are put than it has room for."""
        return 0 if self._tensor is None else int(self._tensor.data_ptr())

    def put(self, array: I64) -> Any:
        """The array on the device: (T,) int64, valid until the next array is put."""
        size = array.shape[0]
        place = target.device()
        if self._tensor is None or self._tensor.device != place or self._tensor.shape[0] < size:
            assert not self._frozen, "a captured forward has other inputs than the one before it"
            self._tensor = torch.zeros(max(size, _ROOM), dtype=torch.int64, device=place)
            self._held = None
        part = self._tensor[:size]
        if self._frozen or place.type == "meta":
            return part
        if self._held is None or not np.array_equal(self._held, array):
            part.copy_(torch.from_numpy(np.array(array, dtype=np.int64)))
            self._held = np.array(array, dtype=np.int64)
        return part

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, `put` returns the buffer as it is."""
        self._frozen = True
        try:
            yield
        finally:
            self._frozen = False


token_ids = Buffer()
positions = Buffer()
