"""One decode step as one CUDA graph: captured once per cache, replayed for every further token.

The captured forward is the eager one, kernel for kernel: it reads token id and position from fixed places on the device
(`inputs`), writes keys and values to the slot that the position names, and leaves logits and their argmax in fixed
places too. Between replays the host sets two integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from engine.ops.cuda import inputs, launch, products
from engine.ops.cuda.kv_cache import DeviceKvCache

Forward = Callable[[DeviceKvCache], Any]
"""Logits (1, V) of one token, whose id and position the input buffers hold."""


class DecodeGraph:
    """The captured step for one cache."""

    def __init__(self, forward: Forward, cache: DeviceKvCache, token_id: int) -> None:
        """Capture; `token_id` at the cache's next position is run once to load every kernel, and not kept."""
        length = cache.length
        self._place = _set_inputs(token_id, length)
        before = launch.counts()
        # a first run outside the capture: kernels are compiled and loaded, tables and weights uploaded
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                products.largest(forward(cache))
        finally:
            # after a failure as well: what it wrote to is given back, and another model may get that memory
            torch.cuda.current_stream().wait_stream(side)
        cache.truncate(length)
        self._graph = torch.cuda.CUDAGraph()
        warmed = launch.counts()
        try:
            with inputs.token_ids.frozen(), inputs.positions.frozen(), torch.cuda.graph(self._graph):
                self._logits = forward(cache)
                self._best = products.largest(self._logits)
        finally:
            self.launches = launch.since(warmed)
            """Kernels of one replay, by name."""
            launch.add_counts(self.launches, times=-1)  # captured, not run
        cache.truncate(length)
        self.warm_up_launches = sum(launch.since(before).values())

    def is_current(self) -> bool:
        """Whether the input buffers are still where they were when this was captured."""
        return self._place == (inputs.token_ids.address, inputs.positions.address)

    def replay(self, cache: DeviceKvCache, token_id: int) -> None:
        """Run `token_id` at the cache's next position, and count the position."""
        _set_inputs(token_id, cache.length)
        self._graph.replay()
        launch.add_counts(self.launches)
        cache.advance()

    @property
    def logits(self) -> Any:
        """(1, V) on the device, of the last replay."""
        return self._logits

    @property
    def best(self) -> Any:
        """(1,) on the device: the token with the largest logit of the last replay."""
        return self._best


def _set_inputs(token_id: int, position: int) -> tuple[int, int]:
    inputs.token_ids.put(np.array([token_id], dtype=np.int64))
    inputs.positions.put(np.array([position], dtype=np.int64))
    return inputs.token_ids.address, inputs.positions.address
