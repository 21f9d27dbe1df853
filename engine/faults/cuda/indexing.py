"""Rows, columns, scales and programs on the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from engine.faults.cuda.seeding import Seeded, replaced


def embedding_of_the_neighbour() -> Seeded:
    """Every token gets the row of the one before it."""

    def wrong(embedding: Any, weight: Any, token_ids: Any) -> Any:
        return embedding(weight, np.maximum(token_ids - 1, 0))

    return replaced("resident", "embedding", wrong)


def last_program_not_started() -> Seeded:
    """Of every grid with several programs along its first axis the last one is missing."""

    def fewer(run: Any, launched: Any) -> None:
        first, *others = launched.grid
        run(replace(launched, grid=(max(1, first - 1), *others)))

    return replaced("launch", "_runner", fewer)


def q8_scales_shifted() -> Seeded:
    """Every block of Q8_0 takes the scale of the block before it."""

    def wrong(planes: Any, kind: Any, data: Any) -> Any:
        found = planes(kind, data)
        if kind.name != "Q8_0":
            return found
        return found[0], np.ascontiguousarray(np.roll(found[1], 2, axis=1))

    return replaced("weights", "_planes", wrong)


def tail_dropped() -> Seeded:
    """The last column of a row does not take part in products."""

    def wrong(matmul: Any, x: Any, weight: Any, *, exact: bool) -> Any:
        shortened = x.clone()
        shortened[:, -1] = 0
        return matmul(shortened, weight, exact=exact)

    return replaced("products", "matmul", wrong)
