"""Sum of the parts that the programs of a split product have left, always in the same order.

    y[i] = part[0, i] + part[1, i] + ... + part[splits - 1, i]

Float32, one after the other: no atomic, so a result is bitwise the same at every run.
The launcher guarantees: parts (splits, M) and out (M,) are contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def split_sum(parts: tl.tensor, out: tl.tensor, size: tl.tensor, SPLITS: tl.constexpr, BLOCK: tl.constexpr) -> None:
    """parts (SPLITS, M) float32; out (M,) float32; size = M. Grid: tiles of BLOCK, 1, 1."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.load(parts + at, mask=at < size, other=0)
    for split in tl.static_range(1, SPLITS):
        total += tl.load(parts + split * size + at, mask=at < size, other=0)
    tl.store(out + at, total, mask=at < size)
