"""Sum of the parts that the programs of a split product have left, with what a layer adds to it; always in one order.

    y[t, i] = residual[t, i] + (part[0, t, i] + part[1, t, i] + ... + part[PARTS - 1, t, i] + bias[i])

Float32, one after the other: no atomic, so a result is bitwise the same at every run, and the same in every kernel that
adds up with `load_sum`.
The launcher guarantees: columns of parts, residual and out have stride 1; residual and out (T, N) are contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous


@triton.jit
def load_sum(
    at: tl.tensor,
    inside: tl.tensor,
    part_stride: tl.tensor,
    bias_at: tl.tensor,
    residual_at: tl.tensor,
    PARTS: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
) -> tl.tensor:
    """The sum at the addresses `at` of part 0; 0 where not `inside`."""
    total = tl.load(at, mask=inside, other=0)
    for part in tl.static_range(1, PARTS):
        total += tl.load(at + part * part_stride, mask=inside, other=0)
    if BIAS:
        total += tl.load(bias_at, mask=inside, other=0)
    if RESIDUAL:
        total = tl.load(residual_at, mask=inside, other=0) + total
    return total


@triton.jit
def split_sum(
    parts: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    part_stride: tl.tensor,
    token_stride: tl.tensor,
    PARTS: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
    BLOCK: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """parts (PARTS, T, N) float32 with the given strides; bias (N,), residual (T, N), read where the flags say; out
    (T, N) float32; size = N. Grid: tiles of BLOCK, 1, T."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    token = tl.program_id(2).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < size
    at = parts + token * token_stride + column
    out_at = token * size + column
    total = load_sum(at, inside, part_stride, bias + column, residual + out_at, PARTS, BIAS, RESIDUAL)
    tl.store(out + out_at, total, mask=inside)
