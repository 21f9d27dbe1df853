"""RMSNorm of a row, and the same row quantised for the product that follows.

    y[i] = weight[i] * x[i] / sqrt(mean_i(x[i]^2) + eps)

Repeats `ops.reference.rms_norm`: mean in float32 over a tree, root and division correctly rounded: relative error at
most 1e-6 per element (13 roundings of the tree for 8192 squares, halved by the root, and 3 more). Quantised as in
`quantise`, from the rounded y.

The launcher guarantees: x (T, D), weight (D,) and y are contiguous; BLOCKS * 32 >= D; QUANTISE only if 32 divides D.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.quantise import store_quantised


@triton.jit
def rms_norm(
    x: tl.tensor,
    weight: tl.tensor,
    y: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
    x16: tl.tensor,
    size: tl.tensor,
    eps: tl.tensor,
    BLOCKS: tl.constexpr,
    QUANTISE: tl.constexpr,
) -> None:
    """x, y (T, D) float32; weight (D,) float32; the rest as in `quantise`; size = D. Grid: T, 1, 1."""
    token = tl.program_id(0).to(tl.int64)
    block = tl.arange(0, BLOCKS)
    column = block[:, None] * 32 + tl.arange(0, 32)[None, :]
    inside = column < size
    values = tl.load(x + token * size + column, mask=inside, other=0)
    mean = tl.math.div_rn(tl.sum(tl.sum(values * values, axis=1), axis=0), size.to(tl.float32))
    root = tl.math.sqrt_rn(mean + eps)
    normed = tl.math.div_rn(values, tl.broadcast_to(root, values.shape)) * tl.load(
        weight + column, mask=inside, other=0
    )
    tl.store(y + token * size + column, normed, mask=inside)
    if QUANTISE:
        first = token * (size // 32)
        store_quantised(normed, block, block < size // 32, xq + first * 32, xd + first, xs + first, x16 + first * 2)
