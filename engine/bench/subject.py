"""What a figure is measured on: one model, one backend, one precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.bench.figure import Samples
from engine.bench.timer import Timer
from engine.kv_cache import KvCache
from engine.models.protocol import Model
from engine.ops.protocol import I64

SEED = 20250907
# A prime: ids that follow one another come from all over the vocabulary.
_STRIDE = 7919
FILLED_AT_ONCE = 1024
"""Positions of the cache that one append fills; the keys and values are the same in each."""

Note = Callable[[str, Any, Any], None]
"""Name of an operation, and the marks before and behind it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the place where a subject runs can do, measured there."""

    read_bandwidth: Samples
    """Bytes per second of reading memory."""
    arithmetic: Samples
    """Flops per second of a large matrix product."""
    product: str
    """Which product that was."""


class Subject(Protocol):
    """Where a model runs, and how. `host` and `device` are the two kinds."""

    name: str
    """Backend and precision, for example 'cpu q8'."""
    place: str
    """What the limits belong to: 'cpu', 'cuda:sm_90', 'cuda-interpreted'."""
    timer: Timer
    chunk: int
    """Tokens of one forward of prefill."""

    @property
    def model(self) -> Model:
        """The model, set up to run as this subject."""

    def advance(self, token_ids: Sequence[int] | I64, kv_cache: KvCache) -> int:
        """Run tokens, a prompt or a single one, and name the most probable next one, as greedy generation does."""

    def array(self, shape: tuple[int, ...]) -> Any:
        """Random float32 numbers in the kind of array that the cache takes."""

    def watched(self, note: Note) -> AbstractContextManager[None]:
        """Inside, every operation of a forward is noted."""

    def limits(self) -> Limits:
        """Measure the place; the first caller of each place waits for it."""

    def facts(self) -> dict[str, Any]:
        """What runs: for the report."""

    def release(self) -> None:
        """Give back what the place holds."""


def prompt(model: Model, tokens: int) -> I64:
    """Token ids from all of the vocabulary: speed does not depend on them."""
    # without numpy's random numbers, which are 10 MB of code and nothing that a greedy answer needs
    return np.arange(tokens, dtype=np.int64) * _STRIDE % model.config.vocab_size


def fill(subject: Subject, kv_cache: KvCache, positions: int) -> None:
    """Put random keys and values of order 1 into the cache, for as many positions."""
    sizes: Any = subject.model.config
    for start in range(0, positions, FILLED_AT_ONCE):
        shape = (min(FILLED_AT_ONCE, positions - start), sizes.num_kv_heads, sizes.head_dim)
        keys, values = subject.array(shape), subject.array(shape)
        for layer in range(sizes.num_layers):
            kv_cache.append(layer, keys, values)


def position_bytes(subject: Subject) -> int:
    """Bytes of keys and values of one position in all layers."""
    keys: Any = subject.model.new_cache(1).view(0)[0]
    sizes: Any = subject.model.config
    return 2 * int(sizes.num_layers * sizes.num_kv_heads * sizes.head_dim * keys.itemsize)
