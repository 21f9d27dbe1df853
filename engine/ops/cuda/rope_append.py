"""Queries and keys turned by their positions, keys and values into the cache: the whole way from products to attention.

    q_out[t]  = turn(q[t] + bias)        keys[positions[t]]   = float16(k_out[t]),   k_out[t] = turn(k[t] + bias)
                                         values[positions[t]] = float16(v[t] + bias)

q, k and v are what products have left, parts and all (`split_sum.load_sum`). Turning repeats `rope` and rounding
`kv_append`, bit for bit. Positions are read on the device, so that a captured graph writes to the next slot at each
replay.
The launcher guarantees: columns have stride 1; q_out, k_out and the cache are contiguous; every position is below S;
Dh is even; quarters, magnitude and pairs as in `rope`.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.rope import cos_sin, pair
from engine.ops.cuda.split_sum import load_sum


@triton.jit
def _turned(
    at: tl.tensor,
    bias_at: tl.tensor,
    inside: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    apart: tl.tensor,
    part_stride: tl.tensor,
    PARTS: tl.constexpr,
    BIAS: tl.constexpr,
) -> tl.tensor:
    first = load_sum(at, inside, part_stride, bias_at, at, PARTS, BIAS, False)
    second = load_sum(at + apart, inside, part_stride, bias_at + apart, at, PARTS, BIAS, False)
    return first * cos - second * sin, second * cos + first * sin


@triton.jit
def rope_append(
    q: tl.tensor,
    k: tl.tensor,
    v: tl.tensor,
    q_bias: tl.tensor,
    k_bias: tl.tensor,
    v_bias: tl.tensor,
    positions: tl.tensor,
    quarters: tl.tensor,
    q_out: tl.tensor,
    k_out: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    q_part_stride: tl.tensor,
    k_part_stride: tl.tensor,
    v_part_stride: tl.tensor,
    q_token_stride: tl.tensor,
    k_token_stride: tl.tensor,
    v_token_stride: tl.tensor,
    magnitude: tl.tensor,
    heads: tl.tensor,
    kv_heads: tl.tensor,
    half: tl.tensor,
    Q_PARTS: tl.constexpr,
    K_PARTS: tl.constexpr,
    V_PARTS: tl.constexpr,
    Q_BIAS: tl.constexpr,
    K_BIAS: tl.constexpr,
    V_BIAS: tl.constexpr,
    ADJACENT: tl.constexpr,
    HALF: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """q (parts, T, H * Dh), k, v (parts, T, Hkv * Dh) float32; biases (H * Dh,), (Hkv * Dh,), read where the flags say;
    positions (T,) int64; quarters (Dh/2,) float64; q_out (T, H, Dh), k_out (T, Hkv, Dh) float32; keys, values
    (S, Hkv, Dh) float16; half = Dh/2 <= HALF, a power of two. Grid: T, H + Hkv, 1; one head each, a key with its value.
    """
    release_next(DEPENDENT)
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    i = tl.arange(0, HALF)
    inside = i < half
    place, apart = pair(i, half, ADJACENT)
    turn = tl.load(quarters + i, mask=inside, other=0)
    wait_for_previous(DEPENDENT)
    position = tl.load(positions + token)
    cos, sin = cos_sin(position.to(tl.float64) * turn)
    cos, sin = cos * magnitude, sin * magnitude
    if head < heads:
        column = head * 2 * half + place
        first, second = _turned(
            q + token * q_token_stride + column, q_bias + column, inside, cos, sin, apart,
            q_part_stride, Q_PARTS, Q_BIAS,
        )  # fmt: skip
        at = q_out + token * heads * 2 * half + column
        tl.store(at, first, mask=inside)
        tl.store(at + apart, second, mask=inside)
    else:
        column = (head - heads) * 2 * half + place
        first, second = _turned(
            k + token * k_token_stride + column, k_bias + column, inside, cos, sin, apart,
            k_part_stride, K_PARTS, K_BIAS,
        )  # fmt: skip
        at = k_out + token * kv_heads * 2 * half + column
        tl.store(at, first, mask=inside)
        tl.store(at + apart, second, mask=inside)
        slot = position * kv_heads * 2 * half + column
        tl.store(keys + slot, first.to(tl.float16), mask=inside)
        tl.store(keys + slot + apart, second.to(tl.float16), mask=inside)
        v_at = v + token * v_token_stride + column
        first = load_sum(v_at, inside, v_part_stride, v_bias + column, v_at, V_PARTS, V_BIAS, False)
        second = load_sum(v_at + apart, inside, v_part_stride, v_bias + column + apart, v_at, V_PARTS, V_BIAS, False)
        tl.store(values + slot, first.to(tl.float16), mask=inside)
        tl.store(values + slot + apart, second.to(tl.float16), mask=inside)
