"""RMS norms: epsilon, weights, and which rows have one."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_ops, seeded
from engine.models.decoder import Decoder
from engine.ops.protocol import F32


def head_norm_dropped() -> Seeded:
    """Heads of Q and K are rotated as the products leave them."""
    return seeded((Decoder, "_head_norm", lambda _, __, x, ___: x))


def norm_epsilon() -> Seeded:
    """Epsilon is 0.1 too large."""

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> Any:
        return rms_norm(x, weight, eps=eps + 0.1)

    return on_ops("rms_norm", wrong)


def norm_no_weight() -> Seeded:
    """Rows are normalised and not scaled."""

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> Any:
        return rms_norm(x, np.ones_like(weight), eps=eps)

    return on_ops("rms_norm", wrong)
