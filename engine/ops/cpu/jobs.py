"""Compiled work in parts, as functions with an address that any thread can call: void(arguments, part).

The arguments are an array of 64-bit words. Those of a product, of which a part is some groups of rows:

     0  packed       address of the interleaved weight
     1  group_bytes  of one group of 8 or 16 rows
     2  groups
     3  columns
     4  values       address, see `engine.ops.cpu.activations`
     5  scales       address
     6  sums         address
     7  sums_stride  bytes of one plane of sums
     8  tokens
     9  out          address of float32 (T, N)
    10  rows         N
    11  parts

A tile of a product has one token (matrix-vector) or TILE (matrix-matrix); both give the same bits.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
from typing import Any

from numba import carray

from engine.ops.cpu.compiled import callback
from engine.ops.cpu.dots import dot_tile
from engine.ops.cpu.isa import Isa
from engine.ops.cpu.kernels import ROWS_AT_ONCE, matmul_rows
from engine.ops.cpu.llvm import bytes_at, call_address, floats_at
from engine.ops.cpu.runner import JOB
from engine.ops.cpu.silu import silu_times

TILE = {Isa.VNNI: 8, Isa.AVX2: 4, Isa.PLAIN: 4}
"""Tokens of a matrix-matrix tile: what the vector registers hold (32 in AVX-512, 16 elsewhere)."""


@functools.cache
def job(kind: int, planes: int, isa: Isa, *, many: bool) -> Any:
    """The function for one type of weights, precision, instruction set and tile; its `address` is callable."""
    tile = TILE[isa] if many else 1
    return _make(int(kind), int(planes), int(isa), tile, isa.lanes)


def _make(kind: int, planes: int, isa: int, tile: int, lanes: int) -> Any:
    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        packed, group_bytes, groups, columns, values, scales, sums, stride, tokens, out, rows, parts = carray(words, 12)
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            for token in range(0, tokens, tile):
                dot_tile(
                    kind, planes, tile, isa, lanes, packed + group * group_bytes, columns, values, scales, sums, stride,
                    token, tokens - 1, out + 4 * lanes * group, rows, rows - lanes * group,
                )  # fmt: skip

    return run


@functools.cache
def series_job() -> Any:
    """Parts of several jobs, those of the first before those of the second; words: jobs, then each one's function,
    arguments and parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        jobs = carray(words, 1)[0]
        table = carray(words, 1 + 3 * jobs)
        for at in range(1, 1 + 3 * jobs, 3):
            if part < table[at + 2]:
                call_address(table[at], table[at + 1], part)
                return
            part -= table[at + 2]

    return run


@functools.cache
def float_job() -> Any:
    """Rows of a product in float32; words: type, weight, row_bytes, x, T, K, out, N, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        kind, raw_at, row_bytes, x_at, tokens, columns, out_at, rows, parts = carray(words, 9)
        raw = carray(bytes_at(raw_at), (rows * row_bytes,))
        x = carray(floats_at(x_at), (tokens * columns,))
        out = carray(floats_at(out_at), (tokens * rows,))
        groups = (rows + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
        first = part * groups // parts * ROWS_AT_ONCE
        last = min(rows, (part + 1) * groups // parts * ROWS_AT_ONCE)
        matmul_rows(kind, raw, row_bytes, x, tokens, columns, out, (first, last))

    return run


@functools.cache
def swiglu_job() -> Any:
    """Elements; words: gate, up, out, their number, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        gate_at, up_at, out_at, size, parts = carray(words, 5)
        first, last = part * size // parts, (part + 1) * size // parts
        silu_times(gate_at + 4 * first, up_at + 4 * first, out_at + 4 * first, last - first)

    return run
