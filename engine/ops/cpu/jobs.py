"""The compiled work of one matrix: row groups by tokens, as functions with an address that any thread can call.

Each function is void(arguments, part) and does one part of the rows. Its arguments are an array of 64-bit words:

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

A tile has one token (matrix-vector) or TILE (matrix-matrix); both give the same bits.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
from typing import Any

from numba import carray

from engine.ops.cpu.compiled import callback
from engine.ops.cpu.dots import dot_tile
from engine.ops.cpu.isa import Isa

TILE = {Isa.VNNI: 8, Isa.AVX2: 4, Isa.PLAIN: 4}
"""Tokens of a matrix-matrix tile: what the vector registers hold (32 in AVX-512, 16 elsewhere)."""

_SIGNATURE = "void(CPointer(int64), int64)"


@functools.cache
def job(kind: int, planes: int, isa: Isa, *, many: bool) -> Any:
    """The function for one type of weights, precision, instruction set and tile; its `address` is callable."""
    tile = TILE[isa] if many else 1
    return _make(int(kind), int(planes), int(isa), tile, isa.lanes)


def _make(kind: int, planes: int, isa: int, tile: int, lanes: int) -> Any:
    @callback(_SIGNATURE)
    def run(words: Any, part: Any) -> None:
        packed, group_bytes, groups, columns, values, scales, sums, stride, tokens, out, rows, parts = carray(words, 12)
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            for token in range(0, tokens, tile):
                dot_tile(
                    kind, planes, tile, isa, lanes, packed + group * group_bytes, columns, values, scales, sums, stride,
                    token, tokens - 1, out + 4 * lanes * group, rows, rows - lanes * group,
                )  # fmt: skip

    return run
