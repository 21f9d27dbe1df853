"""Code of one block of a tile, per type of weights.

Layouts: `engine.ops.cpu.interleave` and the types' own files in `engine.quant`; arithmetic: `dots` beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from engine.ops.cpu.isa import Isa
from engine.ops.cpu.kernels.llvm import FLOAT, I16, constant
from engine.ops.cpu.kernels.tile import Tile, index_of
from engine.ops.cpu.shapes import sum_planes

Q5_0, Q8_0, Q4_K, Q5_K, Q6_K = 6, 8, 12, 13, 14
"""Type numbers as in `engine.gguf.types.GgmlType`; plain integers because numba freezes them into the code."""

SUM_BASE = 128
"""Activation sums of Q4_K and Q5_K are signed bytes in this base, the highest digit first."""


def _scales_and_minimums(tile: Tile) -> tuple[list[Any], list[Any]]:
    """Q4_K and Q5_K: scales 0..3 and 4..7, minimums 0..3 and 4..7, four bytes per lane."""
    builder = tile.builder
    first, second, low = (tile.dwords(number) for number in (1, 2, 3))
    upper_scales = builder.or_(tile.masked(low, 0, 15), tile.masked(first, 2, 48))
    upper_minimums = builder.or_(tile.masked(low, 4, 15), tile.masked(second, 2, 48))
    return [tile.masked(first, 0, 63), upper_scales], [tile.masked(second, 0, 63), upper_minimums]


def _k_block(tile: Tile, quants_at: int, fifth_at: int | None) -> None:
    """A block of Q4_K, or of Q5_K, whose dwords `fifth_at` hold the fifth bits."""
    builder, lanes = tile.builder, tile.lanes
    both = tile.dwords(0)
    halves = ir.VectorType(I16, lanes)
    d = tile.widened(builder.trunc(both, halves))
    dmin = tile.widened(builder.trunc(builder.lshr(both, constant(16, lanes)), halves))
    scales, minimums = _scales_and_minimums(tile)
    bytes_ = [
        builder.and_(builder.lshr(scales[j // 4], constant(8 * (j % 4), lanes)), constant(255, lanes)) for j in range(8)
    ]
    scale = tile.table(bytes_)
    fifths = [tile.dwords(fifth_at + g) for g in range(8)] if fifth_at is not None else []
    places = tile.accumulators()

    def pair(p: Any) -> None:
        packed = [tile.dwords(builder.add(builder.mul(p, index_of(8)), index_of(quants_at + g))) for g in range(8)]
        for high in range(2):
            j = _folded(builder, p, 2, high)
            quants = [tile.masked(dwords, 4 * high, 15) for dwords in packed]
            if fifths:
                bits = [builder.shl(tile.masked(dwords, j, 1), constant(4, lanes)) for dwords in fifths]
                quants = [builder.or_(q, bit) for q, bit in zip(quants, bits, strict=True)]
            tile.scaled_dots(places, quants, builder.mul(j, index_of(32)), scale(j))

    tile.repeat(4, pair)
    for token in tile.tokens:
        tile.add(token, tile.floats([builder.load(place) for place in places[token]]), d)
        lowered = None
        for plane in range(sum_planes(tile.planes)):
            pointer = builder.gep(tile.sums[token], [builder.mul(tile.sums_stride, index_of(plane))])
            digit = constant(0, lanes)
            for half in range(2):
                digit = tile.dot(digit, minimums[half], tile.broadcast(pointer, 4 * half))
            lowered = digit if lowered is None else builder.add(builder.mul(lowered, constant(SUM_BASE, lanes)), digit)
        tile.add(token, builder.fneg(builder.sitofp(lowered, ir.VectorType(FLOAT, lanes))), dmin)


def _folded(builder: Any, index: Any, factor: int, plus: int) -> Any:
    """index * factor + plus; a constant if the index is one."""
    if isinstance(index, ir.Constant):
        return index_of(index.constant * factor + plus)
    return builder.add(builder.mul(index, index_of(factor)), index_of(plus))


def _q4_k(tile: Tile) -> None:
    _k_block(tile, 4, None)


def _q5_k(tile: Tile) -> None:
    _k_block(tile, 12, 4)


def _q6_k(tile: Tile) -> None:
    """Quarter k of half h, 16 weights from 16 * part on: sub-block 8h + 2k + part."""
    builder, lanes = tile.builder, tile.lanes
    d = tile.halves()
    dwords = [tile.dwords(number) for number in range(4)]
    scale = tile.table(
        [
            builder.ashr(builder.shl(dwords[j // 4], constant(24 - 8 * (j % 4), lanes)), constant(24, lanes))
            for j in range(16)
        ]
    )
    places = tile.accumulators()

    def sixteenth(number: Any) -> None:
        """h = number // 2, part = number % 2."""
        half, part = builder.lshr(number, index_of(1)), builder.and_(number, index_of(1))
        if isinstance(number, ir.Constant):
            half, part = index_of(number.constant // 2), index_of(number.constant % 2)
        first = _folded(builder, number, 12, 4)
        packed = [tile.dwords(builder.add(first, index_of(offset))) for offset in range(12)]
        high = packed[8:]
        for k in range(4):
            low = packed[4 * (k % 2) : 4 * (k % 2) + 4]
            quants = [
                builder.or_(tile.masked(a, 4 * (k // 2), 15), tile.masked(b, 2 * k - 4, 48))
                for a, b in zip(low, high, strict=True)
            ]
            at = builder.add(builder.mul(half, index_of(128)), builder.mul(part, index_of(16)))
            if isinstance(number, ir.Constant):
                j = index_of(8 * half.constant + 2 * k + part.constant)
            else:
                j = builder.add(builder.add(builder.mul(half, index_of(8)), part), index_of(2 * k))
            tile.scaled_dots(places, quants, builder.add(at, index_of(32 * k)), scale(j), j)

    tile.repeat(4, sixteenth)
    for token in tile.tokens:
        tile.add(token, tile.floats([builder.load(place) for place in places[token]]), d)


def _small_block(tile: Tile, quants: list[Any], d: Any, *, offset: bool, signed: bool = False) -> None:
    """A block of 32 weights with one scale."""
    for token in tile.tokens:
        sums = []
        for plane in range(tile.planes):
            total = tile.started(token, plane, 0) if offset else constant(0, tile.lanes)
            for number, vector in enumerate(quants):
                activations = tile.broadcast(tile.values[token][plane], 4 * number)
                total = tile.dot(total, vector, activations, signed=signed)
            sums.append(total)
        tile.add(token, tile.floats(sums), d)


def _q8_0(tile: Tile) -> None:
    d = tile.halves()
    quants = [tile.dwords(number) for number in range(8)]
    unsigned = tile.isa == Isa.VNNI
    if unsigned:
        flip = ir.Constant(quants[0].type, [-0x7F7F7F80] * tile.lanes)  # 0x80808080: q + 128
        quants = [tile.builder.xor(vector, flip) for vector in quants]
    _small_block(tile, quants, d, offset=unsigned, signed=not unsigned)


def _q5_0(tile: Tile) -> None:
    builder, d = tile.builder, tile.halves()
    fifths, packed = tile.dwords(0), [tile.dwords(1 + number) for number in range(4)]
    quants = [
        builder.or_(tile.masked(packed[g % 4], 4 * (g // 4), 15), tile.masked(fifths, g - 4, 16)) for g in range(8)
    ]
    _small_block(tile, quants, d, offset=True)


# per type: code of a block, weights per block, dwords per block of one row
BLOCKS: dict[int, tuple[Callable[[Tile], None], int, int]] = {
    Q4_K: (_q4_k, 256, 36),
    Q5_K: (_q5_k, 256, 44),
    Q6_K: (_q6_k, 256, 52),
    Q8_0: (_q8_0, 32, 8),
    Q5_0: (_q5_0, 32, 5),
}


HALVES = frozenset({Q6_K, Q8_0, Q5_0})
"""Types whose blocks are not whole dwords."""
