"""Attention of one new token per sequence, the cache split over programs.

    y[h] = sum_s softmax_s(q[h] . k[s, g] / sqrt(Dh)) * v[s, g],  position - window < s <= position,  g = h // (H / Hkv)

Repeats `ops.reference.attention` on float16 keys and values. Each program takes one kv head, all query heads that share
it, and one part of the slots; `attention_merge` joins the parts in order. The number of parts is fixed, so a result
depends on the position alone, not on how much the cache could hold.

`tl.dot` multiplies float16 and adds float32. Queries and softmax weights are split into two float16 numbers, a rounded
one and the rest, so that products carry 22 bits: relative L2 at most 1e-5 against float64 with the same keys.

The launcher guarantees: q (T, H, Dh), keys and values (S, Hkv, Dh) are contiguous, position < S; the slots up to it are
written, those after it may hold anything.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous


@triton.jit
def dot_split(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """a (M, K) float32 times b (K, N) float16, with a as the sum of two float16; float32."""
    top = a.to(tl.float16)
    rest = (a - top.to(tl.float32)).to(tl.float16)
    return tl.dot(rest, b, tl.dot(top, b, out_dtype=tl.float32), out_dtype=tl.float32)


@triton.jit
def attention_decode(
    q: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    positions: tl.tensor,
    part: tl.tensor,
    part_max: tl.tensor,
    part_sum: tl.tensor,
    scale: tl.tensor,
    window: tl.tensor,
    heads: tl.tensor,
    kv_heads: tl.tensor,
    head_dim: tl.tensor,
    GROUP: tl.constexpr,
    DIM: tl.constexpr,
    SLOTS: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """q (T, H, Dh) float32; keys, values (S, Hkv, Dh) float16; positions (T,) int64; part (T, H, parts, Dh), part_max,
    part_sum (T, H, parts) float32; scale = log2(e) / sqrt(Dh). GROUP >= 16 and DIM >= 16 are powers of two that hold
    H / Hkv and Dh. Grid: Hkv, parts, T."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    group = tl.program_id(0)
    split = tl.program_id(1)
    token = tl.program_id(2).to(tl.int64)
    parts = tl.num_programs(1)
    length = tl.load(positions + token).to(tl.int32) + 1
    seen = tl.minimum(length, window)
    per_part = tl.cdiv(tl.cdiv(seen, parts), SLOTS) * SLOTS
    first = length - seen + split * per_part
    last = tl.minimum(first + per_part, length)
    shared = heads // kv_heads
    member = tl.arange(0, GROUP)
    dim = tl.arange(0, DIM)
    head = group * shared + member
    real = (member < shared)[:, None] & (dim < head_dim)[None, :]
    query = tl.load(q + (token * heads + head)[:, None] * head_dim + dim[None, :], mask=real, other=0) * scale
    best = tl.full([GROUP], float("-inf"), tl.float32)
    weight_sum = tl.zeros([GROUP], tl.float32)
    mixed = tl.zeros([GROUP, DIM], tl.float32)
    for start in range(first, last, SLOTS):
        slot = start + tl.arange(0, SLOTS)
        at = (slot.to(tl.int64) * kv_heads + group)[:, None] * head_dim + dim[None, :]
        inside = (slot < last)[:, None] & (dim < head_dim)[None, :]
        k = tl.load(keys + at, mask=inside, other=0)
        scores = tl.where((slot < last)[None, :], dot_split(query, tl.trans(k)), float("-inf"))
        higher = tl.maximum(best, tl.max(scores, axis=1))
        weights = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(best - higher)
        v = tl.load(values + at, mask=inside, other=0)
        mixed = mixed * shrink[:, None] + dot_split(weights, v)
        weight_sum = weight_sum * shrink + tl.sum(weights, axis=1)
        best = higher
    out = (token * heads + head) * parts + split
    tl.store(part_max + out, best, mask=member < shared)
    tl.store(part_sum + out, weight_sum, mask=member < shared)
    tl.store(part + out[:, None] * head_dim + dim[None, :], mixed, mask=real)
