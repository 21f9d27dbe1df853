"""RMS norms: epsilon, weights, and which rows have one."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.faults.seeding import Except, Seeded, on_ops, seeded
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


def norm_epsilon_fixed() -> Seeded:
    """Epsilon is 1e-5 whatever the file says, or 1e-6 where it says 1e-5.

    Seen in llama.cpp #2373, tvm #15856, candle #271.
    """

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> Any:
        return rms_norm(x, weight, eps=1e-6 if eps > 5e-6 else 1e-5)

    return on_ops("rms_norm", wrong)


def norm_epsilon_outside_the_root() -> Seeded:
    """Epsilon is added to the root mean square, not to the mean square.

    Seen in gpt-neox #1345.
    """

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> F32:
        del rms_norm
        root = np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True, dtype=np.float32))
        return np.multiply(x / (root + np.float32(eps)), weight, dtype=np.float32)

    return on_ops("rms_norm", wrong)


def norm_mean_subtracted() -> Seeded:
    """A layer norm: the mean of a row is taken off before it is divided."""

    def wrong(rms_norm: Any, x: F32, weight: F32, *, eps: float) -> Any:
        return rms_norm(x - x.mean(axis=-1, keepdims=True), weight, eps=eps)

    return on_ops("rms_norm", wrong)


def final_norm_dropped() -> Seeded:
    """Logits come from the last layer's sum as it is."""

    def wrong(forward: Any, model: Decoder, *args: Any, **options: Any) -> Any:
        def rms_norm(x: F32, weight: F32, *, eps: float) -> F32:
            normed: F32 = ops.rms_norm(x, weight, eps=eps)
            return x if weight is model._output_norm else normed

        ops, model.ops = model.ops, Except(model.ops, rms_norm=rms_norm)
        try:
            return forward(model, *args, **options)
        finally:
            model.ops = ops

    return seeded((Decoder, "forward", wrong))
