"""Time on the GPU's own clock: events that lie between kernels, for measuring without waiting after each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)


class EventTimer:
    """Marks on the current stream; a mark is passed when all work before it is done."""

    clock = "device"

    def __init__(self, event: Callable[[], Any] = _event) -> None:
        self._event = event

    def mark(self) -> Any:
        """An event behind all work that was launched until now."""
        event = self._event()
        event.record()
        return event

    def seconds(self, start: Any, end: Any) -> float:
        """Time between two marks; waits for the later one."""
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3
