"""Rotary position embedding on the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine.faults.cuda.seeding import Seeded, module, replaced


@contextmanager
def rope_position_off_by_one() -> Iterator[None]:
    """Positions count from 1, in the rotation alone and in that on the way to the cache."""
    turn = module("resident").rope

    def shifted(rope: Any, x: Any, positions: Any, **how: Any) -> Any:
        return rope(x, positions + 1, **how)

    def turned_before(append: Any, q: Any, k: Any, v: Any, positions: Any, *rest: Any, **how: Any) -> Any:
        q, k = (turn(x, np.ones_like(positions), **how) for x in (q, k))
        return append(q, k, v, positions, *rest, **how)

    with replaced("resident", "rope", shifted), replaced("resident", "rope_append", turned_before):
        yield


def rope_theta_doubled() -> Seeded:
    """q and k turn by the angles of twice their theta; counting positions from 1 would change nothing in a model."""

    def wrong(append: Any, *arguments: Any, theta: float, **how: Any) -> Any:
        return append(*arguments, theta=2 * theta, **how)

    return replaced("resident", "rope_append", wrong)


def values_turned() -> Seeded:
    """Values turn with their keys on the way to the cache."""
    turn = module("resident").rope

    def wrong(append: Any, q: Any, k: Any, v: Any, positions: Any, *rest: Any, **how: Any) -> Any:
        return append(q, k, turn(v, positions, **how), positions, *rest, **how)

    return replaced("resident", "rope_append", wrong)
