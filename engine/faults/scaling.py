"""Factors and terms: what a value is multiplied with, and what is added to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_ops
from engine.ops.protocol import F32, I64, Weight


def bias_dropped() -> Seeded:
    """Biases of Q, K and V are not added."""

    def wrong(add_bias: Any, x: F32, bias: F32) -> Any:
        return add_bias(x, np.zeros_like(bias))

    return on_ops("add_bias", wrong)


def missing_attention_scale() -> Seeded:
    """Scores are not divided by sqrt(Dh)."""

    def wrong(attention: Any, q: F32, *args: Any, **limits: Any) -> Any:
        return attention(q * np.float32(q.shape[-1] ** 0.5), *args, **limits)

    return on_ops("attention", wrong)


def noise(relative: float = 1e-3) -> Seeded:
    """Each product of a matmul is off by a random share of it, another one at each call.

    Args:
        relative: standard deviation of the share.
    """
    rng = np.random.default_rng(0)

    def wrong(matmul: Any, x: F32, weight: Weight) -> Any:
        out = matmul(x, weight)
        return out * (1 + np.float32(relative) * rng.standard_normal(out.shape, dtype=np.float32))

    return on_ops("matmul", wrong)


def residual_dropped() -> Seeded:
    """A block replaces its input, and is not added to it."""

    def wrong(add: Any, x: F32, y: F32) -> Any:
        return add(np.zeros_like(x), y)

    return on_ops("add", wrong)


def swiglu_no_sigmoid() -> Seeded:
    """The gate is used as it is."""

    def wrong(swiglu: Any, gate: F32, up: F32) -> F32:
        del swiglu
        return np.multiply(gate, up)

    return on_ops("swiglu", wrong)


def attention_scale_of_the_model() -> Seeded:
    """Scores are divided by sqrt(H * Dh), the width of all heads.

    Seen in vit-pytorch #65, ng-video-lecture #6.
    """

    def wrong(attention: Any, q: F32, *args: Any, **limits: Any) -> Any:
        return attention(q * np.float32(q.shape[1] ** -0.5), *args, **limits)

    return on_ops("attention", wrong)


def bias_doubled() -> Seeded:
    """Biases are added twice."""

    def wrong(add_bias: Any, x: F32, bias: F32) -> Any:
        return add_bias(x, 2 * bias)

    return on_ops("add_bias", wrong)


def embedding_scaled() -> Seeded:
    """Rows of the embedding are multiplied by sqrt(D), as Gemma's are."""

    def wrong(embedding: Any, weight: Weight, token_ids: I64) -> F32:
        scaled: F32 = embedding(weight, token_ids) * np.float32(weight.shape[1] ** 0.5)
        return scaled

    return on_ops("embedding", wrong)


def quick_gelu_for_silu() -> Seeded:
    """The gate passes through x * sigmoid(1.702 x)."""

    def wrong(swiglu: Any, gate: F32, up: F32) -> F32:
        activated: F32 = swiglu(np.float32(1.702) * gate, up) / np.float32(1.702)
        return activated

    return on_ops("swiglu", wrong)
