"""Index of the largest value, the first one where several are equal; two launches for a long row.

Repeats `numpy.argmax`, exact; -1 where the largest value is not finite. NaN counts as plus infinity: one is enough.
The launcher guarantees: values (T, M) and rows (T, M) are contiguous.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def argmax(
    values: tl.tensor,
    rows: tl.tensor,
    best: tl.tensor,
    best_row: tl.tensor,
    size: tl.tensor,
    NAMED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """values (T, M) float32; rows (T, M) int32, what each value's index is called, read if NAMED; best, best_row
    (T, tiles) float32, int32; size = M. Grid: tiles of BLOCK, 1, T."""
    token = tl.program_id(2).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    value = tl.load(values + token * size + at, mask=inside, other=float("-inf"))
    value = tl.where(value == value, value, float("inf"))
    row = at
    if NAMED:
        row = tl.load(rows + token * size + at, mask=inside, other=2147483647)
    largest = tl.max(value, axis=0)
    out = token * tl.num_programs(0) + tl.program_id(0)
    tl.store(best + out, largest)
    first = tl.min(tl.where(inside & (value == largest), row, 2147483647), axis=0)
    tl.store(best_row + out, tl.where(tl.abs(largest) < float("inf"), first, -1))
