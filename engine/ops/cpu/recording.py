"""One decode step noted while it runs, and run again for the next token without Python between its jobs.

A step of a small model has some 400 jobs of 5 to 200 us; Python takes as long between them as for a tenth of the step.
The jobs of the next token are the same, on the same memory: only the token's id, its position and what depends on them
inside the jobs differ. So the first step on a cache is run and noted, and the others are one call.

Only a step that jobs alone have made is kept. Each array that a job reads must have been made by a job before it, or be
the token, its position or something that never changes; an operation that works outside of jobs, say in numpy, breaks
that chain, and every step is then run operation by operation.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.ops.cpu.pool import Pool
from engine.ops.cpu.runner import Arrays, Words
from engine.ops.protocol import F32, I64, Forward, KeyValueStore


class Recording:
    """Satisfies `engine.ops.cpu.runner.Runner`: runs each job and notes it."""

    def __init__(self, pool: Pool, inputs: Iterable[I64], capacity: int) -> None:
        self._pool = pool
        self.capacity = capacity
        """Positions of the cache."""
        self.threads = pool.threads
        self._known = {array.ctypes.data for array in inputs}
        # Addresses name arrays only as long as these live.
        self._alive: list[object] = []
        self._stages: list[tuple[int, int, int]] = []
        self._whole = True

    def run(
        self, function: int, words: Words, parts: int, *, reads: Arrays = (), makes: Arrays = (), keeps: Arrays = ()
    ) -> None:
        """As `engine.ops.cpu.runner.Runner`."""
        self._pool.run(function, words, parts)
        self.note(function, words, parts, reads=reads, makes=makes, keeps=keeps)

    def note(
        self, function: int, words: Words, parts: int, *, reads: Arrays = (), makes: Arrays = (), keeps: Arrays = ()
    ) -> None:
        """Note a job that was done otherwise, but has the same effect."""
        reads, makes = tuple(reads), tuple(makes)
        self._whole = self._whole and self.made(*reads)
        if self._whole:
            self._known.update(array.ctypes.data for array in makes)
            self._stages.append((function, words.ctypes.data, parts))
            self._alive += [words, reads, makes, tuple(keeps)]

    def made(self, *arrays: Any) -> bool:
        """Whether jobs, or the step's inputs, are all that the arrays come from."""
        return all(array.ctypes.data in self._known for array in arrays)

    def give_up(self) -> None:
        """Something was done that no job can do again."""
        self._whole = False
        self._alive, self._stages = [], []

    def step(self, forward: Forward, ids: I64, positions: I64, kv_cache: KeyValueStore, logits: F32) -> Step | None:
        """What was noted, if it is all."""
        if not (self._whole and self.made(logits)):
            return None
        self._alive += [ids, positions, logits]
        return Step(self._pool, self._stages, self._alive, forward, ids, positions, kv_cache, logits)


class Step:
    """A decode step that can be run again, on the cache it was made for, as long as its memory stays where it is."""

    def __init__(
        self,
        pool: Pool,
        stages: list[tuple[int, int, int]],
        alive: list[object],
        forward: Forward,
        ids: I64,
        positions: I64,
        kv_cache: KeyValueStore,
        logits: F32,
    ) -> None:
        self._pool, self._alive = pool, alive
        self._stages = np.array(stages, np.int64)
        # weak, because the model has these operations, and holds gigabytes
        self._forward = weakref.WeakMethod(forward)
        self._ids, self._positions, self._logits = ids, positions, logits
        self._capacity = kv_cache.capacity

    def fits(self, forward: Forward, token_id: int, kv_cache: KeyValueStore) -> bool:
        """Whether this step does what a forward would do; if not, the forward says why not or notes a new one."""
        return (
            kv_cache.capacity == self._capacity
            and kv_cache.length < self._capacity
            and 0 <= token_id < self._logits.size
            and self._forward() == forward
        )

    def run(self, token_id: int, kv_cache: KeyValueStore) -> F32:
        """Logits (1, V) of a token that follows those in the cache, which has it then."""
        self._ids[0], self._positions[0] = token_id, kv_cache.length
        self._pool.run_all(self._stages)
        kv_cache.written(1)
        return self._logits.copy()
