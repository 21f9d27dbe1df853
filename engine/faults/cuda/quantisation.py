"""Packed weights and rounded activations on the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from engine.faults.cuda.seeding import Seeded, module, replaced


def exact_mode_is_not() -> Seeded:
    """The exact mode takes 8-bit activations."""
    resident = module("resident")

    def wrong(exact: Any, x: Any, weight: Any) -> Any:
        del exact
        return resident.matmul(x[:1].contiguous(), weight)

    return replaced("resident", "exact_matmul", wrong)


def halves_not_scaled() -> Seeded:
    """Activations become float16 as they are: what is beyond 65504 is infinite."""

    def wrong(halves: Any, x: Any) -> Any:
        _, scale = halves(x)
        return x.half(), scale * 0 + 1

    return replaced("activations", "halves", wrong)


def minimums_dropped() -> Seeded:
    """The sums of the activations, which the minimums of Q4_K are multiplied with, are 0."""

    def wrong(quantised: Any, x: Any) -> Any:
        found = quantised(x)
        return replace(found, xs=found.xs * 0)

    return replaced("activations", "quantised", wrong)


def one_scale_for_a_row() -> Seeded:
    """Activations are rounded to 8 bits with the scale of the whole row before they are quantised in blocks."""

    def wrong(quantised: Any, x: Any) -> Any:
        d = x.abs().amax(dim=1, keepdim=True) / 127
        return quantised((x / d).round() * d)

    return replaced("activations", "quantised", wrong)


def q4k_nibbles_swapped() -> Seeded:
    """The two weights of each byte of a Q4_K block change places on their way to the device."""

    def wrong(planes: Any, kind: Any, data: Any) -> Any:
        if kind.name != "Q4_K":
            return planes(kind, data)
        blocks = np.array(data).reshape(-1, 144)
        blocks[:, 16:] = blocks[:, 16:] >> 4 | blocks[:, 16:] << 4
        return (blocks.reshape(data.shape),)

    return replaced("weights", "_planes", wrong)
