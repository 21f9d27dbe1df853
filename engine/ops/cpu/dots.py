"""Integer dot products of interleaved weights with quantised activations: code for one tile, emitted as LLVM.

A tile is one group of 8 or 16 rows times one token or several. Lane r works on row r throughout:

    sum[r]  = the 4 weights of a dword of row r . the 4 activations of a token, for all dwords of a sub-block
    sum[r] *= scale of the sub-block, in integers, and added up over the block (K types)
    y[r]   += d[r] * d_token * sum[r]  -  dmin[r] * d_token * (minimums of the block . activation sums)

*Planes.* An activation is one signed byte, a (q8), or two, 254 * a + b (q16); products with b are summed by themselves
and joined as floats, fma(sum_a, 254, sum_b). No integer overflows: |weight| <= 128 and |a|, |b| <= 127 give at most
256 * 128 * 127 * 32 < 2^28 per block.

*Offsets.* Weights enter as unsigned quants q. Where the type subtracts an offset c (Q6_K 32, Q5_0 16, Q8_0 as
unsigned 128), a sub-block's sum starts at -c * (sum of its activations), which `activations` prepares.

*Order.* One fused multiply-add per block and row (two for types with minimums), blocks in order of columns. The order
depends on nothing else: not on the tile, the number of tokens or threads, nor the instruction set.

Layouts of the weights: `engine.ops.cpu.interleave` and the types' own files in `engine.quant`.
"""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.isa import Isa
from engine.ops.cpu.llvm import FLOAT, I8, I16, I32, I64, call, constant, fma, half_to_float, load, splat

Q5_0, Q8_0, Q4_K, Q5_K, Q6_K = 6, 8, 12, 13, 14
"""Type numbers as in `engine.gguf.types.GgmlType`; plain integers because numba freezes them into the code."""

SUM_BASE = 128
"""Activation sums of Q4_K and Q5_K are signed bytes in this base, the highest digit first."""


def sum_planes(planes: int) -> int:
    """Digits of the sum of 32 activations: at most 32 * 127, or 32 * (254 * 127 + 126), in base 128."""
    return planes + 1


@dataclass
class _Tile:
    """Everything the code of one tile refers to; pointers are to bytes."""

    builder: Any
    isa: int
    planes: int
    lanes: int
    weights: Any
    """The dwords of the current block."""
    scales: Any
    """The halves of the current block, where its type has any."""
    values: list[list[Any]]
    """Per token and plane: the activations of the current block."""
    sums: list[Any]
    """Per token: the activation sums of the current block."""
    sums_stride: Any
    """Bytes from one plane of sums to the next."""
    token_scales: list[Any]
    """Per token: d_token, in all lanes."""
    totals: list[Any]
    """Per token: place of the float sums."""

    @property
    def tokens(self) -> range:
        return range(len(self.values))

    def dwords(self, index: Any) -> Any:
        """Dword `index` of the block of every row."""
        self.in_order()
        place = self.builder.gep(self.weights, [self.builder.mul(_index(index), _index(4 * self.lanes))])
        return load(self.builder, place, ir.VectorType(I32, self.lanes), 4)

    def in_order(self) -> None:
        """Keep LLVM from moving a load of a matrix-vector product across this place.

        A product with one vector waits for memory, and what the processor fetches ahead by itself depends on seeing
        addresses that only grow. Measured on a busy Zen 4 over 45 MB of Q4_K and 66 MB of Q6_K, GB/s of one thread:
        in LLVM's order 23 and 13, with prefetch instructions 21 and 16, in order of addresses 32 and 27.
        """
        if len(self.values) == 1:
            self.builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)

    def halves(self) -> Any:
        """The float16 of every row, widened; before the dwords of the block."""
        self.in_order()
        return self.widened(load(self.builder, self.scales, ir.VectorType(I16, self.lanes), 4))

    def widened(self, bits: Any) -> Any:
        """float16 bits to float32; exact, subnormals and infinities included."""
        return half_to_float(self.builder, bits, instruction=self.isa != Isa.PLAIN)

    def masked(self, dwords: Any, shift: Any, mask: int) -> Any:
        """(byte >> shift) & mask of every byte; a negative shift goes left. The mask has no bits that shift across."""
        builder = self.builder
        if isinstance(shift, int):
            amount = constant(abs(shift), self.lanes)
        else:
            amount = splat(builder, builder.trunc(shift, I32), self.lanes)
        moved = builder.shl(dwords, amount) if isinstance(shift, int) and shift < 0 else builder.lshr(dwords, amount)
        return builder.and_(moved, constant(mask * 0x01010101, self.lanes))

    def broadcast(self, pointer: Any, offset: Any) -> Any:
        """Four bytes, in all lanes."""
        value = load(self.builder, self.builder.gep(pointer, [_index(offset)]), I32, 4)
        return splat(self.builder, value, self.lanes)

    def dot(self, total: Any, quants: Any, activations: Any, *, signed: bool = False) -> Any:
        """total + per lane the sum of 4 products of weight bytes and signed activation bytes.

        Unsigned weights are below 64 in AVX2, whose byte pairs saturate at 2^15; signed ones are any.
        """
        builder, lanes = self.builder, self.lanes
        wide = ir.VectorType(I32, lanes)
        if self.isa == Isa.VNNI:
            return call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", wide, [total, quants, activations])
        w = builder.bitcast(quants, ir.VectorType(I8, 4 * lanes))
        a = builder.bitcast(activations, ir.VectorType(I8, 4 * lanes))
        if self.isa == Isa.AVX2:
            if signed:
                a = call(builder, "llvm.x86.avx2.psign.b", a.type, [a, w])
                w = call(builder, "llvm.x86.avx2.psign.b", w.type, [w, w])  # |w|; -128 becomes 128, unsigned
            pairs = call(builder, "llvm.x86.avx2.pmadd.ub.sw", ir.VectorType(I16, 2 * lanes), [w, a])
            ones = constant(1, 2 * lanes, I16)
            return builder.add(total, call(builder, "llvm.x86.avx2.pmadd.wd", wide, [pairs, ones]))
        widest = ir.VectorType(I32, 4 * lanes)
        products = builder.mul((builder.sext if signed else builder.zext)(w, widest), builder.sext(a, widest))
        for byte in range(4):
            order = ir.Constant(wide, list(range(byte, 4 * lanes, 4)))
            total = builder.add(total, builder.shuffle_vector(products, products, order))
        return total

    def floats(self, sums: list[Any]) -> Any:
        """Integer sums of the planes as one float."""
        kind = ir.VectorType(FLOAT, self.lanes)
        values = [self.builder.sitofp(value, kind) for value in sums]
        if self.planes == 1:
            return values[0]
        return fma(self.builder, values[0], ir.Constant(kind, [254.0] * self.lanes), values[1])

    def add(self, token: int, value: Any, scale: Any) -> None:
        """Add value * (scale * d_token) to the sums of a token."""
        builder = self.builder
        factor = builder.fmul(scale, self.token_scales[token])
        builder.store(fma(builder, value, factor, builder.load(self.totals[token])), self.totals[token])

    def repeat(self, count: int, body: Callable[[Any], None]) -> None:
        """Code for body(0) .. body(count - 1): unrolled for one token, a loop for more, whose code is long."""
        if len(self.values) == 1:
            for number in range(count):
                body(_index(number))
            return
        with cgutils.for_range(self.builder, _index(count), intp=I64) as loop:
            body(loop.index)

    def table(self, vectors: list[Any]) -> Callable[[Any], Any]:
        """Vectors that can be asked for by a number known only at run time."""
        builder = self.builder
        if len(self.values) == 1:
            return lambda index: vectors[index.constant]
        kind = vectors[0].type
        place = cgutils.alloca_once(builder, ir.ArrayType(kind, len(vectors)))
        for number, vector in enumerate(vectors):
            builder.store(vector, builder.gep(place, [_index(0), _index(number)]))
        return lambda index: builder.load(builder.gep(place, [_index(0), index]))

    def accumulators(self) -> list[list[Any]]:
        """Places of integer sums, zero: per token and plane."""
        zero = constant(0, self.lanes)
        places = [[cgutils.alloca_once(self.builder, zero.type) for _ in range(self.planes)] for _ in self.tokens]
        for row in places:
            for place in row:
                self.builder.store(zero, place)
        return places

    def scaled_dots(self, places: list[list[Any]], quants: list[Any], at: Any, scale: Any, start: Any = None) -> None:
        """Add scale * (quants . activations from byte `at` on) to every sum.

        Args:
            start: number of the int32 in `sums` at which a sum starts; None: at 0.
        """
        builder = self.builder
        self.in_order()
        for token in self.tokens:
            for plane in range(self.planes):
                total = constant(0, self.lanes)
                if start is not None:
                    total = self.started(token, plane, start)
                for number, vector in enumerate(quants):
                    offset = builder.add(at, _index(4 * number))
                    total = self.dot(total, vector, self.broadcast(self.values[token][plane], offset))
                place = places[token][plane]
                builder.store(builder.add(builder.load(place), builder.mul(total, scale)), place)

    def started(self, token: int, plane: int, number: Any) -> Any:
        """The offset of a sub-block, from int32 `number` of the block in a plane of `sums`."""
        builder = self.builder
        pointer = builder.gep(self.sums[token], [builder.mul(self.sums_stride, _index(plane))])
        return self.broadcast(pointer, builder.mul(_index(number), _index(4)))


def _index(value: Any) -> Any:
    return ir.Constant(I64, value) if isinstance(value, int) else value


def _scales_and_minimums(tile: _Tile) -> tuple[list[Any], list[Any]]:
    """Q4_K and Q5_K: scales 0..3 and 4..7, minimums 0..3 and 4..7, four bytes per lane."""
    builder = tile.builder
    first, second, low = (tile.dwords(number) for number in (1, 2, 3))
    upper_scales = builder.or_(tile.masked(low, 0, 15), tile.masked(first, 2, 48))
    upper_minimums = builder.or_(tile.masked(low, 4, 15), tile.masked(second, 2, 48))
    return [tile.masked(first, 0, 63), upper_scales], [tile.masked(second, 0, 63), upper_minimums]


def _k_block(tile: _Tile, quants_at: int, fifth_at: int | None) -> None:
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
        packed = [tile.dwords(builder.add(builder.mul(p, _index(8)), _index(quants_at + g))) for g in range(8)]
        for high in range(2):
            j = _folded(builder, p, 2, high)
            quants = [tile.masked(dwords, 4 * high, 15) for dwords in packed]
            if fifths:
                bits = [builder.shl(tile.masked(dwords, j, 1), constant(4, lanes)) for dwords in fifths]
                quants = [builder.or_(q, bit) for q, bit in zip(quants, bits, strict=True)]
            tile.scaled_dots(places, quants, builder.mul(j, _index(32)), scale(j))

    tile.repeat(4, pair)
    for token in tile.tokens:
        tile.add(token, tile.floats([builder.load(place) for place in places[token]]), d)
        lowered = None
        for plane in range(sum_planes(tile.planes)):
            pointer = builder.gep(tile.sums[token], [builder.mul(tile.sums_stride, _index(plane))])
            digit = constant(0, lanes)
            for half in range(2):
                digit = tile.dot(digit, minimums[half], tile.broadcast(pointer, 4 * half))
            lowered = digit if lowered is None else builder.add(builder.mul(lowered, constant(SUM_BASE, lanes)), digit)
        tile.add(token, builder.fneg(builder.sitofp(lowered, ir.VectorType(FLOAT, lanes))), dmin)


def _folded(builder: Any, index: Any, factor: int, plus: int) -> Any:
    """index * factor + plus; a constant if the index is one."""
    if isinstance(index, ir.Constant):
        return _index(index.constant * factor + plus)
    return builder.add(builder.mul(index, _index(factor)), _index(plus))


def _q4_k(tile: _Tile) -> None:
    _k_block(tile, 4, None)


def _q5_k(tile: _Tile) -> None:
    _k_block(tile, 12, 4)


def _q6_k(tile: _Tile) -> None:
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
        half, part = builder.lshr(number, _index(1)), builder.and_(number, _index(1))
        if isinstance(number, ir.Constant):
            half, part = _index(number.constant // 2), _index(number.constant % 2)
        first = _folded(builder, number, 12, 4)
        packed = [tile.dwords(builder.add(first, _index(offset))) for offset in range(12)]
        high = packed[8:]
        for k in range(4):
            low = packed[4 * (k % 2) : 4 * (k % 2) + 4]
            quants = [
                builder.or_(tile.masked(a, 4 * (k // 2), 15), tile.masked(b, 2 * k - 4, 48))
                for a, b in zip(low, high, strict=True)
            ]
            at = builder.add(builder.mul(half, _index(128)), builder.mul(part, _index(16)))
            if isinstance(number, ir.Constant):
                j = _index(8 * half.constant + 2 * k + part.constant)
            else:
                j = builder.add(builder.add(builder.mul(half, _index(8)), part), _index(2 * k))
            tile.scaled_dots(places, quants, builder.add(at, _index(32 * k)), scale(j), j)

    tile.repeat(4, sixteenth)
    for token in tile.tokens:
        tile.add(token, tile.floats([builder.load(place) for place in places[token]]), d)


def _small_block(tile: _Tile, quants: list[Any], d: Any, *, offset: bool, signed: bool = False) -> None:
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


def _q8_0(tile: _Tile) -> None:
    d = tile.halves()
    quants = [tile.dwords(number) for number in range(8)]
    unsigned = tile.isa == Isa.VNNI
    if unsigned:
        flip = ir.Constant(quants[0].type, [-0x7F7F7F80] * tile.lanes)  # 0x80808080: q + 128
        quants = [tile.builder.xor(vector, flip) for vector in quants]
    _small_block(tile, quants, d, offset=unsigned, signed=not unsigned)


def _q5_0(tile: _Tile) -> None:
    builder, d = tile.builder, tile.halves()
    fifths, packed = tile.dwords(0), [tile.dwords(1 + number) for number in range(4)]
    quants = [
        builder.or_(tile.masked(packed[g % 4], 4 * (g // 4), 15), tile.masked(fifths, g - 4, 16)) for g in range(8)
    ]
    _small_block(tile, quants, d, offset=True)


# per type: code of a block, weights per block, dwords per block of one row
_BLOCKS: dict[int, tuple[Callable[[_Tile], None], int, int]] = {
    Q4_K: (_q4_k, 256, 36),
    Q5_K: (_q5_k, 256, 44),
    Q6_K: (_q6_k, 256, 52),
    Q8_0: (_q8_0, 32, 8),
    Q5_0: (_q5_0, 32, 5),
}


HALVES = frozenset({Q6_K, Q8_0, Q5_0})
"""Types whose blocks are not whole dwords."""


def _places(builder: Any, group: Any, block: Any, vector_bytes: int, dwords: int, *, halves: bool) -> tuple[Any, Any]:
    """Pointers to the dwords and to the halves of a block; see the drawing in `engine.ops.cpu.interleave`."""
    at = builder.mul(block, _index(dwords))
    if not halves:
        return builder.gep(group, [builder.mul(at, _index(vector_bytes))]), None
    pair = builder.lshr(block, _index(1))
    first = builder.mul(pair, _index(2 * dwords + 1))
    half = builder.mul(builder.and_(block, _index(1)), _index(vector_bytes // 2))
    scales = builder.gep(group, [builder.add(builder.mul(first, _index(vector_bytes)), half)])
    at = builder.add(at, builder.add(pair, _index(1)))
    return builder.gep(group, [builder.mul(at, _index(vector_bytes))]), scales


def _steps(builder: Any, starts: list[Any], bytes_: Any, block: Any) -> Iterator[Any]:
    """Pointers to block `block` behind each start."""
    for start in starts:
        yield builder.gep(start, [builder.mul(block, _index(bytes_))])


def _generator(kind: int, planes: int, tokens: int, isa: int, lanes: int) -> Callable[..., Any]:
    """Code of `dot_tile` for static numbers."""
    emit, block_size, dwords = _BLOCKS[kind]
    minimums = kind in (Q4_K, Q5_K)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        packed, columns, values, scales, sums, sums_stride, token, last, out, rows, left = arguments[5:]
        byte = I8.as_pointer()
        floats = ir.VectorType(FLOAT, lanes)
        blocks = builder.udiv(columns, _index(block_size))
        numbers = []
        for ahead in range(tokens):
            number = builder.add(token, _index(ahead))
            numbers.append(builder.select(builder.icmp_signed("<", number, last), number, last))
        packed_base = builder.inttoptr(packed, byte)
        value_base, sum_base = builder.inttoptr(values, byte), builder.inttoptr(sums, byte)
        scale_base = builder.inttoptr(scales, FLOAT.as_pointer())
        value_starts = [
            [
                builder.gep(value_base, [builder.mul(builder.add(builder.mul(n, _index(planes)), _index(p)), columns)])
                for p in range(planes)
            ]
            for n in numbers
        ]
        all_sums = sum_planes(planes) if minimums else planes
        token_sums = builder.mul(sums_stride, _index(all_sums))
        sum_starts = [builder.gep(sum_base, [builder.mul(n, token_sums)]) for n in numbers]
        scale_starts = [builder.gep(scale_base, [builder.mul(n, blocks)]) for n in numbers]
        zero = ir.Constant(floats, [0.0] * lanes)
        totals = [cgutils.alloca_once(builder, floats) for _ in numbers]
        for place in totals:
            builder.store(zero, place)
        # bytes of one plane of sums that belong to one block
        sum_bytes = 8 if minimums else 4 * (16 if kind == Q6_K else 1)
        with cgutils.for_range(builder, blocks, intp=I64) as loop:
            block = loop.index
            weights, scales_at = _places(builder, packed_base, block, 4 * lanes, dwords, halves=kind in HALVES)
            tile = _Tile(
                builder=builder,
                isa=isa,
                planes=planes,
                lanes=lanes,
                weights=weights,
                scales=scales_at,
                values=[list(_steps(builder, starts, block_size, block)) for starts in value_starts],
                sums=list(_steps(builder, sum_starts, sum_bytes, block)),
                sums_stride=sums_stride,
                token_scales=[
                    splat(builder, builder.load(builder.gep(start, [block])), lanes) for start in scale_starts
                ],
                totals=totals,
            )
            emit(tile)
        _write(builder, totals, numbers, out, rows, left, lanes)
        return context.get_dummy_value()

    return generate


def _write(builder: Any, totals: list[Any], numbers: list[Any], out: Any, rows: Any, left: Any, lanes: int) -> None:
    """The sums of each token to `out`, token by token `rows` floats apart; only the first `left` lanes."""
    base = builder.inttoptr(out, FLOAT.as_pointer())
    whole = builder.icmp_signed(">=", left, _index(lanes))
    for place, number in zip(totals, numbers, strict=True):
        target = builder.gep(base, [builder.mul(number, rows)])
        with builder.if_else(whole) as (vector, single):
            with vector:
                kind = ir.VectorType(FLOAT, lanes).as_pointer()
                builder.store(builder.load(place), builder.bitcast(target, kind)).align = 4
            with single, cgutils.for_range(builder, left, intp=I64) as loop:
                value = builder.load(builder.gep(builder.bitcast(place, FLOAT.as_pointer()), [loop.index]))
                builder.store(value, builder.gep(target, [loop.index])).align = 4


@intrinsic(prefer_literal=True)
def dot_tile(
    typingctx: Any, kind: Any, planes: Any, tokens: Any, isa: Any, lanes: Any, packed: Any, columns: Any, values: Any,
    scales: Any, sums: Any, sums_stride: Any, token: Any, last: Any, out: Any, rows: Any, left: Any,
) -> Any:  # fmt: skip
    """One tile: out[t * rows + r] = row r of the group . token t, for `tokens` tokens from `token` on.

    The first five arguments are constants of the calling function; all others are 64-bit, addresses in bytes.

    Args:
        packed: of the group.
        values: (T, planes, K) int8.
        scales: (T, K / block) float32.
        sums: (T, all planes, sums_stride) as `engine.ops.cpu.activations` draws it.
        token, last: first token of the tile, last of all; tokens behind the last repeat it.
        out: of row 0 of the group in token 0.
        rows: floats from one token of `out` to the next.
        left: rows of the tile that exist.
    """
    static = [value.literal_value for value in (kind, planes, tokens, isa, lanes)]
    return types.void(kind, planes, tokens, isa, lanes, *[types.int64] * 11), _generator(*static)
