"""Activations as float16 with one power of two per row, for products on tensor cores.

    scale[t] = 2^e with max|x[t]| / 2^e in [256, 512)      xh = float16(x / scale)       (a row of zeros: scale 1)

A power of two costs no precision, and float16 neither overflows nor goes below its least normal number for values down
to 2^-23 of the largest: relative L2 at most 2^-12. A row with a value that is not finite becomes NaN.
The launcher guarantees: x and xh (T, K) are contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def row_unit(top: tl.tensor, bad: tl.tensor) -> tl.tensor:
    """The scale of a row whose largest magnitude is `top`; `bad` is NaN where a value is not finite, else 0."""
    # the exponent's bits alone: 2^floor(log2(top)); 2^-118 keeps the quotient within float32
    power = (tl.maximum(top, 3.0e-36).to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
    return tl.where(top > 0, power * 0.00390625, 1.0) + bad


@triton.jit
def half_rows(x: tl.tensor, xh: tl.tensor, scale: tl.tensor, size: tl.tensor, BLOCK: tl.constexpr) -> None:
    """x (T, K) float32; xh (T, K) float16; scale (T,) float32; size = K. Grid: T, 1, 1."""
    token = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    largest = tl.zeros([BLOCK], tl.float32)
    for start in range(0, size, BLOCK):
        values = tl.load(x + token * size + start + column, mask=start + column < size, other=0)
        largest = tl.maximum(largest, tl.abs(values) + (values - values), propagate_nan=tl.PropagateNan.ALL)
    unit = row_unit(tl.max(largest, axis=0), tl.sum(largest - largest, axis=0))
    tl.store(scale + token, unit)
    for start in range(0, size, BLOCK):
        inside = start + column < size
        values = tl.load(x + token * size + start + column, mask=inside, other=0)
        halves = tl.math.div_rn(values, tl.broadcast_to(unit, values.shape)).to(tl.float16)
        tl.store(xh + token * size + start + column, halves, mask=inside)
