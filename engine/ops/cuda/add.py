"""Sum of two arrays: a residual connection, or a bias added to every row.

    z[i] = x[i] + y[i mod period]

Repeats `ops.reference.add` and `add_bias` bit for bit: one float32 addition.
The launcher guarantees: x and z (M,) and y (period,) are contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def add(x: tl.tensor, y: tl.tensor, z: tl.tensor, size: tl.tensor, period: tl.tensor, BLOCK: tl.constexpr) -> None:
    """x, z (M,), y (period,) float32; size = M. Grid: tiles of BLOCK, 1, 1."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    total = tl.load(x + at, mask=inside, other=0) + tl.load(y + at % period, mask=inside, other=0)
    tl.store(z + at, total, mask=inside)
