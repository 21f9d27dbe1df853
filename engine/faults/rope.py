"""Rotary position embedding: positions, angles, pairs, and what is rotated at all."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from engine.faults.seeding import Except, Seeded, on_ops, seeded
from engine.models.decoder import Decoder
from engine.ops import fused
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
    """Angles are those of the base alone.

    Seen in llama.cpp #8676.
    """

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, factors=()))

    return on_ops("rope", wrong)


def rope_theta_off() -> Seeded:
    """The base is ten times too large."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, **how: Any) -> Any:
        return rope(x, positions, theta=10 * theta, **how)

    return on_ops("rope", wrong)


def rope_wrong_pairing() -> Seeded:
    """Neighbours (2i, 2i + 1) are the pairs where halves (i, i + Dh/2) should be, and the other way round.

    Seen in llama.cpp #3018, TinyLlama #24.
    """

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
        return rope(x, positions, theta=theta, rotary=replace(rotary, adjacent=not rotary.adjacent))

    return on_ops("rope", wrong)


def rope_positions_in_bfloat16() -> Seeded:
    """Positions keep 8 bits: from 256 on several tokens share one.

    Seen in transformers #29285.
    """

    def wrong(rope: Any, x: F32, positions: I64, **how: Any) -> Any:
        kept = (positions.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
        return rope(x, kept.astype(np.int64), **how)

    return on_ops("rope", wrong)


def rope_turned_backwards() -> Seeded:
    """The sine has the other sign."""

    def wrong(rope: Any, x: F32, positions: I64, **how: Any) -> Any:
        return rope(x, -positions, **how)

    return on_ops("rope", wrong)


def rope_first_half_only() -> Seeded:
    """The second half of the frequencies is not applied, as where a rotary share of 0.5 is assumed."""

    def wrong(rope: Any, x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32:
        turned: F32 = rope(x, positions, theta=theta, rotary=rotary)
        size = x.shape[-1]
        pair = np.arange(size) // 2 if rotary.adjacent else np.arange(size) % (size // 2)
        return np.where(pair < size // 4, turned, x)

    return on_ops("rope", wrong)


def rope_on_values() -> Seeded:
    """Values turn with their keys on the way to the cache."""

    def wrong(append: Any, ops: Any, q: F32, k: F32, v: F32, positions: I64, *rest: Any, **how: Any) -> Any:
        return append(ops, q, k, ops.rope(v, positions, **how), positions, *rest, **how)

    return seeded((fused, "rope_append", wrong))
