"""The next token, chosen on the device."""

from __future__ import annotations

from typing import Any

from engine.faults.cuda.seeding import Seeded, replaced


def last_of_equals() -> Seeded:
    """Of equal logits the last one is chosen."""

    def wrong(largest: Any, values: Any) -> Any:
        return values.shape[1] - 1 - largest(values.flip(1))

    return replaced("products", "largest", wrong)
