"""Products in parts: jobs, whose arguments are the address of an array of 64-bit words and the number of a part.

The words of `product`, of which a part is some groups of rows:

     0  packed       address of the interleaved weight
     1  group_bytes  of one group of 8 or 16 rows
     2  groups
     3  columns
     4  values       address, see `engine.ops.cpu.kernels.activations`
     5  scales       address
     6  sums         address
     7  sums_stride  bytes of one plane of sums
     8  tokens
     9  out          address of float32 (T, N)
    10  rows         N
    11  parts

A tile of a product has one token (matrix-vector) or TILE (matrix-matrix); both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import carray

from engine.ops.cpu.kernels.dots import dot_tile
from engine.ops.cpu.kernels.floats import ROWS_AT_ONCE, matmul_rows
from engine.ops.cpu.kernels.llvm import allocate, bytes_at, call_address, floats_at, free, integers_at
from engine.ops.cpu.kernels.silu import silu_times

Job = Callable[[int, int], None]


def product(kind: int, planes: int, isa: int, tile: int, lanes: int) -> Job:
    """One type of weights, precision, instruction set and tile."""

    def run(words: int, part: int) -> None:
        packed, group_bytes, groups, columns, values, scales = carray(integers_at(words), 6)
        sums, stride, tokens, out, rows, parts = carray(integers_at(words + 48), 6)
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            for token in range(0, tokens, tile):
                dot_tile(
                    kind, planes, tile, isa, lanes, packed + group * group_bytes, columns, values, scales, sums, stride,
                    token, tokens - 1, out + 4 * lanes * group, rows, rows - lanes * group,
                )  # fmt: skip

    return run


def series() -> Job:
    """Parts of several jobs, those of the first before those of the second; words: jobs, then each one's function,
    arguments and parts."""

    def run(words: int, part: int) -> None:
        jobs = carray(integers_at(words), 1)[0]
        table = carray(integers_at(words), 1 + 3 * jobs)
        for at in range(1, 1 + 3 * jobs, 3):
            if part < table[at + 2]:
                call_address(table[at], table[at + 1], part)
                return
            part -= table[at + 2]

    return run


def float_product() -> Job:
    """Rows of a product in float32; words: type, weight, row_bytes, x, T, K, out, N, parts."""

    def run(words: int, part: int) -> None:
        kind, raw_at, row_bytes, x_at, tokens, columns, out_at, rows, parts = carray(integers_at(words), 9)
        raw = carray(bytes_at(raw_at), (rows * row_bytes,))
        x = carray(floats_at(x_at), (tokens * columns,))
        out = carray(floats_at(out_at), (tokens * rows,))
        groups = (rows + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
        first = part * groups // parts * ROWS_AT_ONCE
        last = min(rows, (part + 1) * groups // parts * ROWS_AT_ONCE)
        buffer = allocate(4 * ROWS_AT_ONCE * columns)
        decoded = carray(floats_at(buffer), (ROWS_AT_ONCE * columns,))
        matmul_rows(kind, raw, row_bytes, x, tokens, columns, out, (first, last), decoded)
        free(buffer)

    return run


def swiglu() -> Job:
    """Elements; words: gate, up, out, their number, parts."""

    def run(words: int, part: int) -> None:
        gate_at, up_at, out_at, size, parts = carray(integers_at(words), 5)
        first, last = part * size // parts, (part + 1) * size // parts
        silu_times(gate_at + 4 * first, up_at + 4 * first, out_at + 4 * first, last - first)

    return run
