"""Every tapped array computed once more from the tapped arrays before it, by the operation that production uses there.

Not here: another forward. Each array is one operation away from arrays that the tap itself showed, so an array that is
stale, or of another layer, or of a path of its own, does not follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import trace
from engine.kv_cache import KV_TYPES
from engine.llm import Llm
from engine.ops.protocol import F32

Link = tuple[str, int | None, F32, F32]
"""Place, layer, the array shown there and what follows from those before it."""


def links(llm: Llm, seen: trace.Recorder) -> Iterator[Link]:
    """Every place but the embedding and the scores, of one forward that began with an empty cache."""
    model: Any = llm.model
    ops, config = llm.ops, model.config
    x = seen.tokens("embedding")
    for number, layer in enumerate(model._layers):
        shown = {name: seen.tokens(name, number) for name in trace.LAYER_TAPS}
        for name, follows in _layer(llm, layer, number, x, shown):
            yield name, number, shown[name], follows
        x = shown["residual"]
    final = seen.tokens("final_norm")
    yield "final_norm", None, final, ops.rms_norm(x, model._output_norm, eps=config.rms_norm_eps)
    yield "logits", None, seen.tokens("logits"), ops.matmul(final, model._output)


def _layer(llm: Llm, layer: Any, number: int, x: F32, shown: dict[str, F32]) -> Iterator[tuple[str, F32]]:
    model: Any = llm.model
    ops, config = llm.ops, model.config
    positions = np.arange(len(x), dtype=np.int64)

    def biased(y: F32, linear: Any) -> F32:
        return y if linear.bias is None else ops.add_bias(y, linear.bias)

    def heads(y: F32) -> F32:
        return y.reshape(len(y), -1, config.head_dim)

    yield "attn_norm", ops.rms_norm(x, layer.attn_norm, eps=config.rms_norm_eps)
    for name, linear, norm in (
        ("q", layer.attn_q, layer.attn_q_norm),
        ("k", layer.attn_k, layer.attn_k_norm),
        ("v", layer.attn_v, None),
    ):
        yield name, ops.matmul(shown["attn_norm"], linear.weight)
        yield f"{name}_bias", biased(shown[name], linear)
        if name == "v":
            continue
        rows = shown[f"{name}_bias"]
        if norm is not None:
            rows = ops.rms_norm(heads(rows).reshape(-1, config.head_dim), norm, eps=config.rms_norm_eps)
        yield f"{name}_norm", rows.reshape(shown[f"{name}_norm"].shape)
        turned = ops.rope(heads(shown[f"{name}_norm"]), positions, theta=config.rope_theta, rotary=config.rotary)
        yield f"{name}_rope", turned
    stored: Any = KV_TYPES[llm.kv_type]
    keys, values = (heads(shown[name]).astype(stored) for name in ("k_rope", "v_bias"))
    window = config.windows[number]
    limits: dict[str, Any] = {} if window is None else {"window": window}
    mixed = ops.attention(shown["q_rope"], keys, values, positions, **limits)
    yield "attn_out", mixed.reshape(len(x), -1)
    yield "attn_proj", biased(ops.matmul(shown["attn_out"], layer.attn_output.weight), layer.attn_output)
    yield "attn_residual", ops.add(x, shown["attn_proj"])
    yield "ffn_norm", ops.rms_norm(shown["attn_residual"], layer.ffn_norm, eps=config.rms_norm_eps)
    for name, linear in (("gate", layer.ffn_gate), ("up", layer.ffn_up)):
        yield name, biased(ops.matmul(shown["ffn_norm"], linear.weight), linear)
    yield "swiglu", ops.swiglu(shown["gate"], shown["up"])
    yield "down", biased(ops.matmul(shown["swiglu"], layer.ffn_down.weight), layer.ffn_down)
    yield "residual", ops.add(shown["attn_residual"], shown["down"])


def worst_score(llm: Llm, seen: trace.Recorder) -> float:
    """Largest difference of scores times values, summed here in float64, and attn_out; of the largest value."""
    model: Any = llm.model
    config, worst = model.config, 0.0
    for number in range(config.num_layers):
        scores = seen.tokens("scores", number).astype(np.float64)
        stored: Any = KV_TYPES[llm.kv_type]
        values = seen.tokens("v_bias", number).astype(stored).astype(np.float64)
        values = values.reshape(len(values), config.num_kv_heads, config.head_dim)
        values = values.repeat(config.num_heads // config.num_kv_heads, axis=1)
        mixed = np.einsum("ths,shd->thd", scores, values).reshape(len(values), -1)
        difference = np.abs(mixed - seen.tokens("attn_out", number)).max() / np.abs(values).max()
        worst = max(worst, float(difference)) if np.isfinite(difference) else np.inf
    return worst
