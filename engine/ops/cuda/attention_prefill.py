"""Causal attention of many new tokens, one pass over the cache with a running maximum.

    y[t, h] = sum_s softmax_s(q[t, h] . k[s, g] / sqrt(Dh)) * v[s, g],   g = h // (H / Hkv),
                                                                        positions[t] - window < s <= positions[t]

Repeats `ops.reference.attention` on float16 keys and values; precision and tolerance as `attention_decode`.

The launcher guarantees what `attention_decode` asks for; positions rise by 1 from token to token.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.attention_decode import dot_split


@triton.jit
def attention_prefill(
    q: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    positions: tl.tensor,
    out: tl.tensor,
    scale: tl.tensor,
    window: tl.tensor,
    tokens: tl.tensor,
    heads: tl.tensor,
    kv_heads: tl.tensor,
    head_dim: tl.tensor,
    TOKENS: tl.constexpr,
    DIM: tl.constexpr,
    SLOTS: tl.constexpr,
) -> None:
    """q, out (T, H, Dh) float32; keys, values (S, Hkv, Dh) float16; positions (T,) int64; scale = log2(e) / sqrt(Dh).
    TOKENS, SLOTS and DIM are powers of two from 16 on. Grid: tiles of TOKENS, H, 1."""
    head = tl.program_id(1)
    group = head // (heads // kv_heads)
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    dim = tl.arange(0, DIM)
    real = (token < tokens)[:, None] & (dim < head_dim)[None, :]
    at = (token.to(tl.int64) * heads + head)[:, None] * head_dim + dim[None, :]
    query = tl.load(q + at, mask=real, other=0) * scale
    position = tl.load(positions + tl.minimum(token, tokens - 1)).to(tl.int32)
    length = tl.max(position, axis=0) + 1
    best = tl.full([TOKENS], float("-inf"), tl.float32)
    weight_sum = tl.zeros([TOKENS], tl.float32)
    mixed = tl.zeros([TOKENS, DIM], tl.float32)
    oldest = tl.maximum(tl.min(position, axis=0) + 1 - window, 0)
    for start in range(oldest, length, SLOTS):
        slot = start + tl.arange(0, SLOTS)
        kv_at = (slot.to(tl.int64) * kv_heads + group)[:, None] * head_dim + dim[None, :]
        inside = (slot < length)[:, None] & (dim < head_dim)[None, :]
        k = tl.load(keys + kv_at, mask=inside, other=0)
        distance = position[:, None] - slot[None, :]
        seen = (distance >= 0) & (distance < window)
        scores = tl.where(seen, dot_split(query, tl.trans(k)), float("-inf"))
        higher = tl.maximum(best, tl.max(scores, axis=1))
        # a window may begin after this tile: no slot is seen yet, and -inf less -inf would be NaN
        finite = tl.where(higher == float("-inf"), 0.0, higher)
        weights = tl.exp2(scores - finite[:, None])
        shrink = tl.exp2(best - finite)
        v = tl.load(values + kv_at, mask=inside, other=0)
        mixed = mixed * shrink[:, None] + dot_split(weights, v)
        weight_sum = weight_sum * shrink + tl.sum(weights, axis=1)
        best = higher
    y = tl.math.div_rn(mixed, tl.broadcast_to(weight_sum[:, None], mixed.shape))
    tl.store(out + at, y, mask=real)
