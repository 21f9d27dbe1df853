"""Index of the largest value of a row, the first one where several are equal: one program for each row.

Repeats `numpy.argmax`, exact; -1 where the largest value is not finite. NaN counts as plus infinity: one is enough.
The launcher guarantees: values (T, M) and rows (T, M) are contiguous, M > 0; of equal values the first has the smallest
row.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous


@triton.jit
def argmax(
    values: tl.tensor,
    rows: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    NAMED: tl.constexpr,
    BLOCK: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """values (T, M) float32; rows (T, M) int32, what each value's index is called, read if NAMED; out (T,) int32;
    size = M. Grid: T, 1, 1."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    first = tl.program_id(0).to(tl.int64) * size
    lane = tl.arange(0, BLOCK)
    largest = tl.full([BLOCK], float("-inf"), tl.float32)
    where = tl.full([BLOCK], 2147483647, tl.int32)
    for start in range(0, size, BLOCK):
        at = start + lane
        value = tl.load(values + first + at, mask=at < size, other=float("-inf"))
        value = tl.where(value == value, value, float("inf"))
        row = at
        if NAMED:
            row = tl.load(rows + first + at, mask=at < size, other=2147483647)
        is_better = (value > largest) | ((value == largest) & (row < where) & (at < size))
        largest = tl.where(is_better, value, largest)
        where = tl.where(is_better, row, where)
    top = tl.max(largest, axis=0)
    best = tl.min(tl.where(largest == top, where, 2147483647), axis=0)
    tl.store(out + tl.program_id(0), tl.where(tl.abs(top) < float("inf"), best, -1))
