"""Rotary positions: the pair (i, i + Dh/2) of each head turns by position * theta^(-2i/Dh) radians.

Where pairs are adjacent they are (2i, 2i + 1); angles are scaled in the table, and a turned pair by `magnitude`.

Repeats `ops.reference.rope`. Angles are float64 and counted in quarter turns, of which the whole ones are split off
before the step to float32; at position 100,000 a float32 angle would be wrong by 0.004. What is left lies within an
eighth of a turn, where polynomials of degree 7 and 8 give sine and cosine to 1e-7 (the library's functions keep a table
for large angles in local memory). Error at most 1e-6 of the pair's length.

The launcher guarantees: x and y (T, H, Dh) are contiguous, Dh is even;
quarters[i] = theta^(-2i/Dh) * factors[i] * 2 / pi.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def cos_sin(quarters: tl.tensor) -> tl.tensor:
    """Cosine and sine, float32, of an angle in quarter turns, float64 and below 2^31."""
    nearest = tl.floor(quarters + 0.5)
    quadrant = nearest.to(tl.int64) & 3
    angle = ((quarters - nearest) * 1.5707963267948966).to(tl.float32)
    square = angle * angle
    # Taylor's coefficients, adjusted to the interval: Cephes, sinf.c
    sin = angle + angle * square * (-1.6666654611e-1 + square * (8.3321608736e-3 - square * 1.9515295891e-4))
    cos = (
        1.0
        - 0.5 * square
        + square * square * (4.166664568298827e-2 + square * (-1.388731625493765e-3 + square * 2.443315711809948e-5))
    )
    is_odd = quadrant % 2 == 1
    turned_cos = tl.where(is_odd, sin, cos)
    turned_sin = tl.where(is_odd, cos, sin)
    turned_cos = tl.where((quadrant == 1) | (quadrant == 2), -turned_cos, turned_cos)
    return turned_cos, tl.where(quadrant >= 2, -turned_sin, turned_sin)


@triton.jit
def pair(i: tl.tensor, half: tl.tensor, ADJACENT: tl.constexpr) -> tl.tensor:
    """Where in a head pair i begins, and how far apart its two elements are."""
    if ADJACENT:
        place = 2 * i
        apart = half * 0 + 1
    else:
        place = i
        apart = half
    return place, apart


@triton.jit
def rope(
    x: tl.tensor,
    positions: tl.tensor,
    quarters: tl.tensor,
    y: tl.tensor,
    magnitude: tl.tensor,
    heads: tl.tensor,
    half: tl.tensor,
    ADJACENT: tl.constexpr,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
) -> None:
    """x, y (T, H, Dh) float32; positions (T,) int64; quarters (Dh/2,) float64; half = Dh/2. HEADS >= H and HALF >= Dh/2
    are powers of two. Grid: T, 1, 1."""
    token = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, HALF)
    cos, sin = cos_sin(tl.load(positions + token).to(tl.float64) * tl.load(quarters + i, mask=i < half, other=0))
    cos, sin = cos[None, :] * magnitude, sin[None, :] * magnitude
    head = tl.arange(0, HEADS)[:, None]
    inside = (head < heads) & (i < half)[None, :]
    place, apart = pair(i, half, ADJACENT)
    at = (token * heads + head) * (2 * half) + place[None, :]
    first, second = tl.load(x + at, mask=inside, other=0), tl.load(x + at + apart, mask=inside, other=0)
    tl.store(y + at, first * cos - second * sin, mask=inside)
    tl.store(y + at + apart, second * cos + first * sin, mask=inside)
