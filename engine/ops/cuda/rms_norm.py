"""RMSNorm of a row, with the sum that the row is of, and the form of the result that the next product reads.

    x[i] = residual[i] + (parts of a product, see split_sum)        stored where there is something to add
    y[i] = weight[i] * x[i] / sqrt(mean_i(x[i]^2) + eps)

Repeats `ops.reference.add` bit for bit and `rms_norm`: mean in float32 over a tree, root and division correctly
rounded: relative error at most 1e-6 per element (13 roundings of the tree for 8192 squares, halved by the root, and 3
more). In 8 bits as in `quantise` or as float16 as in `half_rows`, from the rounded y.

The launcher guarantees: columns of parts have stride 1; residual, total (T, D), weight (D,) and y are contiguous;
BLOCKS * 32 >= D; EIGHT_BITS only if 32 divides D.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.half_rows import row_unit
from engine.ops.cuda.quantise import store_quantised
from engine.ops.cuda.split_sum import load_sum


@triton.jit
def rms_norm(
    x: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    total: tl.tensor,
    weight: tl.tensor,
    y: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
    x16: tl.tensor,
    xh: tl.tensor,
    scale: tl.tensor,
    size: tl.tensor,
    part_stride: tl.tensor,
    token_stride: tl.tensor,
    eps: tl.tensor,
    PARTS: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    BLOCKS: tl.constexpr,
    EIGHT_BITS: tl.constexpr,
    HALVES: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """x (PARTS, T, D) float32 with the given strides; bias (D,), residual, total, y (T, D), weight (D,) float32; xq to
    x16 as in `quantise`, written with EIGHT_BITS; xh, scale as in `half_rows`, written with HALVES; size = D.
    Grid: T, 1, 1."""
    release_next(DEPENDENT)
    token = tl.program_id(0).to(tl.int64)
    block = tl.arange(0, BLOCKS)
    column = block[:, None] * 32 + tl.arange(0, 32)[None, :]
    inside = column < size
    at = token * size + column
    scales = tl.load(weight + column, mask=inside, other=0)
    wait_for_previous(DEPENDENT)
    values = load_sum(
        x + token * token_stride + column, inside, part_stride, bias + column, residual + at, PARTS, BIAS, RESIDUAL
    )
    if PARTS > 1 or BIAS or RESIDUAL:
        tl.store(total + at, values, mask=inside)
    # a size of 1 is a constant to the compiler, which has no conversion
    count = tl.full([], size, tl.float32)
    mean = tl.math.div_rn(tl.sum(tl.sum(values * values, axis=1), axis=0), count)
    root = tl.math.sqrt_rn(mean + eps)
    normed = tl.math.div_rn(values, tl.broadcast_to(root, values.shape)) * scales
    tl.store(y + at, normed, mask=inside)
    if EIGHT_BITS:
        first = token * (size // 32)
        store_quantised(normed, block, block < size // 32, xq + first * 32, xd + first, xs + first, x16 + first * 2)
    if HALVES:
        finite = normed - normed
        unit = row_unit(tl.max(tl.max(tl.abs(normed), axis=1), axis=0), tl.sum(tl.sum(finite, axis=1), axis=0))
        tl.store(scale + token, unit)
        tl.store(xh + at, tl.math.div_rn(normed, tl.broadcast_to(unit, normed.shape)).to(tl.float16), mask=inside)
