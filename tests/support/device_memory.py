"""The memory of torch tensors under the interpreter, as a device's allocator counts it: live, at most, and failing.

Kernels run on the host there, and what the interpreter takes for itself is not counted.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GRANULE = 512
"""Bytes: torch's allocator hands out multiples of this."""


def _storages(tree: Any) -> list[Any]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class DeviceMemory(TorchDispatchMode):  # type: ignore[misc]
    """Counts storages that operations of torch make while this is entered."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        """Args:
        fail_at: number of the allocation, from 0, that fails as on a device that is full.
        """
        super().__init__()
        self.live = 0
        self.peak = 0
        self.allocations = 0
        self.fail_at = fail_at
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(out):
            if storage._cdata not in given | self._known and storage.nbytes():
                self._count(storage)
        return out

    def uploaded(self, tensor: Any) -> Any:
        """Count a tensor made from an array of the host, which on a device takes room as well."""
        for storage in _storages(tensor):
            if storage._cdata not in self._known and storage.nbytes():
                self._count(storage)
        return tensor

    def _count(self, storage: Any) -> None:
        if self.allocations == self.fail_at:
            self.allocations += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.allocations += 1
        size = -(-storage.nbytes() // GRANULE) * GRANULE
        key = storage._cdata
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
