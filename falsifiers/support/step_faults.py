"""Seeded faults of decode steps that are run again."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from engine.ops.cpu.recording import Recording, Step


def step_keeps_its_token() -> AbstractContextManager[Any]:
    """Every step embeds the token for which it was noted."""
    original = Step.run

    def stale(self: Step, token_id: int, kv_cache: Any) -> Any:
        del token_id
        return original(self, int(self._ids[0]), kv_cache)

    return mock.patch.object(Step, "run", stale)


def step_keeps_its_position() -> AbstractContextManager[Any]:
    """Every step turns, stores and attends at the position for which it was noted."""

    def stale(self: Step, token_id: int, kv_cache: Any) -> Any:
        self._ids[0] = token_id
        self._pool.run_all(self._stages)
        kv_cache.written(1)
        return self._logits.copy()

    return mock.patch.object(Step, "run", stale)


def step_outlives_its_memory() -> AbstractContextManager[Any]:
    """A step is run again although the cache has moved to make room, at positions that its old memory has."""
    original = Step.fits

    def moved(self: Step, forward: Any, token_id: int, kv_cache: Any) -> bool:
        if kv_cache.length < self._capacity:
            self._capacity = kv_cache.capacity
        return original(self, forward, token_id, kv_cache)

    return mock.patch.object(Step, "fits", moved)


def recording_trusts_every_array() -> AbstractContextManager[Any]:
    """An array counts as made by jobs wherever it comes from."""
    return mock.patch.object(Recording, "made", return_value=True)
