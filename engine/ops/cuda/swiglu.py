"""SiLU of the gate times up, and the product quantised for ffn_down.

    y = gate / (1 + exp(-gate)) * up

Repeats `ops.reference.swiglu`: 4 roundings and the error of exp, relative error at most 1e-6. exp(-gate) overflows for
gate < -88 to infinity and the quotient to -0, its right limit. Quantised as in `quantise`, from the rounded y.

The launcher guarantees: columns of gate and up have stride 1; y (T, F) is contiguous; QUANTISE only if 32 divides F.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous
from engine.ops.cuda.quantise import store_quantised


@triton.jit
def silu_times(gate: tl.tensor, up: tl.tensor) -> tl.tensor:
    """The formula above."""
    return tl.math.div_rn(gate, 1.0 + tl.exp(-gate)) * up


@triton.jit
def swiglu(
    gate: tl.tensor,
    up: tl.tensor,
    y: tl.tensor,
    xq: tl.tensor,
    xd: tl.tensor,
    xs: tl.tensor,
    x16: tl.tensor,
    size: tl.tensor,
    gate_stride: tl.tensor,
    up_stride: tl.tensor,
    BLOCKS: tl.constexpr,
    QUANTISE: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """gate, up (T, F) float32 with the given strides of tokens, y (T, F) float32; the rest as in `quantise`; size = F.
    Grid: tiles of BLOCKS, 1, T."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    token = tl.program_id(2).to(tl.int64)
    block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    column = block[:, None] * 32 + tl.arange(0, 32)[None, :]
    inside = column < size
    g = tl.load(gate + token * gate_stride + column, mask=inside, other=0)
    u = tl.load(up + token * up_stride + column, mask=inside, other=0)
    product = silu_times(g, u)
    tl.store(y + token * size + column, product, mask=inside)
    if QUANTISE:
        first = token * (size // 32)
        store_quantised(product, block, block < size // 32, xq + first * 32, xd + first, xs + first, x16 + first * 2)
