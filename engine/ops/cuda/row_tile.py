"""What the programs of a matrix-vector product have in common: which rows are theirs, and what becomes of the results.

A gated product has the rows of ffn_gate and, below them, those of ffn_up. A program then takes as many of either,
stores both, and goes on with SwiGLU of the pair and its 8-bit form, as `swiglu` and `quantise` do.

With BEST the largest value of the tile and the first row that has it are stored as well: most of an argmax, which
`argmax` ends. NaN counts as plus infinity, as there.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.quantise import store_quantised
from engine.ops.cuda.swiglu import silu_times


@triton.jit
def tile_rows(lane: tl.tensor, rows: tl.tensor, ROWS: tl.constexpr, GATED: tl.constexpr) -> tl.tensor:
    """Numbers of this program's rows, lane 0 to ROWS - 1, and whether they exist; others may be past the end."""
    if GATED:
        row = tl.program_id(0) * (ROWS // 2) + lane % (ROWS // 2)
        inside = row < rows // 2
        row += lane // (ROWS // 2) * (rows // 2)
    else:
        row = tl.program_id(0) * ROWS + lane
        inside = row < rows
    return row, inside


@triton.jit
def store_rows(
    y: tl.tensor,
    row: tl.tensor,
    inside: tl.tensor,
    out: tl.tensor,
    best: tl.tensor,
    best_row: tl.tensor,
    activated: tl.tensor,
    aq: tl.tensor,
    ad: tl.tensor,
    a_sum: tl.tensor,
    a16: tl.tensor,
    rows: tl.tensor,
    GATED: tl.constexpr,
    EIGHT_BITS: tl.constexpr,
    BEST: tl.constexpr,
) -> None:
    """Store what belongs to this program's split and token.

    Args:
        y: (R,) float32. row, inside: (R,), of `tile_rows`.
        out: (splits, T, N). best, best_row: (T, row tiles) float32, int32, with BEST.
        activated: (T, N/2) float32, with GATED; aq, ad, a_sum, a16: its form in `quantise`, with EIGHT_BITS.
    """
    token = tl.program_id(2).to(tl.int64)
    at = (tl.program_id(1) * tl.num_programs(2) + token) * rows + row
    tl.store(out + at, y, mask=inside)
    if BEST:
        value = tl.where(inside, tl.where(y == y, y, float("inf")), float("-inf"))
        largest = tl.max(value, axis=0)
        tile = token * tl.num_programs(0) + tl.program_id(0)
        tl.store(best + tile, largest)
        tl.store(best_row + tile, tl.min(tl.where(inside & (value == largest), row, 2147483647), axis=0))
    if GATED:
        HALF: tl.constexpr = y.shape[0] // 2
        size = rows // 2
        gate, up = tl.split(tl.trans(tl.reshape(y, [2, HALF])))
        product = silu_times(gate, up)
        column = tl.program_id(0) * HALF + tl.arange(0, HALF)
        tl.store(activated + token * size + column, product, mask=column < size)
        if EIGHT_BITS:
            BLOCKS: tl.constexpr = HALF // 32
            block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
            first = token * (size // 32)
            in_blocks = tl.reshape(product, [BLOCKS, 32])
            store_quantised(
                in_blocks, block, block < size // 32, aq + first * 32, ad + first, a_sum + first, a16 + first * 2
            )
