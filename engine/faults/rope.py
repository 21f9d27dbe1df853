"""Rotary position embedding: positions, angles, pairs, and what is rotated at all."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from engine.faults.seeding import Except, Seeded, on_ops, seeded
from engine.models.decoder import Decoder
from engine.ops.protocol import F32, I64
from engine.ops.rotary import PLAIN, Rotary


def rope_magnitude_ignored() -> Seeded:
    """Turned pairs keep their length under YaRN."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, magnitude=1.0))

    return on_ops("rope", wrong)


def rope_on_q_only() -> Seeded:
    """Keys go into the cache without their rotation."""

    def wrong(block: Any, model: Decoder, *args: Any) -> Any:
        turns = itertools.count()

        def rope(x: F32, positions: I64, **how: Any) -> F32:
            return ops.rope(x, positions, **how) if next(turns) == 0 else x

        ops, model.ops = model.ops, Except(model.ops, rope=rope)
        try:
            return block(model, *args)
        finally:
            model.ops = ops

    return seeded((Decoder, "_attention_block", wrong))


def rope_position_off_by_one() -> Seeded:
    """Positions count from 1 where tokens come one at a time, from 0 in a prompt; position 0 alone is 1 as well."""

    def wrong(rope: Any, x: F32, positions: I64, **how: Any) -> Any:
        return rope(x, positions + (len(positions) == 1 or not positions.any()), **how)

    return on_ops("rope", wrong)


def rope_scaling_ignored() -> Seeded:
    """Angles are those of the base alone."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, factors=()))

    return on_ops("rope", wrong)


def rope_theta_off() -> Seeded:
    """The base is ten times too large."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, **how: Any) -> Any:
        return rope(x, positions, theta=10 * theta, **how)

    return on_ops("rope", wrong)


def rope_wrong_pairing() -> Seeded:
    """Neighbours (2i, 2i + 1) are the pairs where halves (i, i + Dh/2) should be, and the other way round."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, adjacent=not rotary.adjacent))

    return on_ops("rope", wrong)
