"""Which slots a query sees on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.faults.cuda.seeding import Seeded, replaced


def attention_one_slot_too_many() -> Seeded:
    """Each query sees the slot after its own, which may hold anything."""

    def wrong(attention: Any, q: Any, k: Any, v: Any, positions: Any, **limits: Any) -> Any:
        return attention(q, k, v, np.minimum(positions + 1, len(k) - 1), **limits)

    return replaced("resident", "attention", wrong)


def attention_without_mask() -> Seeded:
    """Every query of a batch sees the slots of the last one."""

    def wrong(attention: Any, q: Any, k: Any, v: Any, positions: Any, **limits: Any) -> Any:
        return attention(q, k, v, np.full_like(positions, positions.max(initial=0)), **limits)

    return replaced("resident", "attention", wrong)
