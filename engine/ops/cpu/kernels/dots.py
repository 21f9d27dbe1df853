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
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.kernels.blocks import BLOCKS, HALVES, Q4_K, Q5_K, Q6_K
from engine.ops.cpu.kernels.llvm import FLOAT, I8, I64, splat
from engine.ops.cpu.kernels.tile import Tile, index_of
from engine.ops.cpu.shapes import sum_planes


def _places(builder: Any, group: Any, block: Any, vector_bytes: int, dwords: int, *, halves: bool) -> tuple[Any, Any]:
    """Pointers to the dwords and to the halves of a block; see the drawing in `engine.ops.cpu.interleave`."""
    at = builder.mul(block, index_of(dwords))
    if not halves:
        return builder.gep(group, [builder.mul(at, index_of(vector_bytes))]), None
    pair = builder.lshr(block, index_of(1))
    first = builder.mul(pair, index_of(2 * dwords + 1))
    half = builder.mul(builder.and_(block, index_of(1)), index_of(vector_bytes // 2))
    scales = builder.gep(group, [builder.add(builder.mul(first, index_of(vector_bytes)), half)])
    at = builder.add(at, builder.add(pair, index_of(1)))
    return builder.gep(group, [builder.mul(at, index_of(vector_bytes))]), scales


def _steps(builder: Any, starts: list[Any], bytes_: Any, block: Any) -> Iterator[Any]:
    """Pointers to block `block` behind each start."""
    for start in starts:
        yield builder.gep(start, [builder.mul(block, index_of(bytes_))])


def _generator(kind: int, planes: int, tokens: int, isa: int, lanes: int) -> Callable[..., Any]:
    """Code of `dot_tile` for static numbers."""
    emit, block_size, dwords = BLOCKS[kind]
    minimums = kind in (Q4_K, Q5_K)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        packed, columns, values, scales, sums, sums_stride, token, last, out, rows, left = arguments[5:]
        byte = I8.as_pointer()
        floats = ir.VectorType(FLOAT, lanes)
        blocks = builder.udiv(columns, index_of(block_size))
        numbers = []
        for ahead in range(tokens):
            number = builder.add(token, index_of(ahead))
            numbers.append(builder.select(builder.icmp_signed("<", number, last), number, last))
        packed_base = builder.inttoptr(packed, byte)
        value_base, sum_base = builder.inttoptr(values, byte), builder.inttoptr(sums, byte)
        scale_base = builder.inttoptr(scales, FLOAT.as_pointer())
        value_starts = [
            [
                builder.gep(
                    value_base, [builder.mul(builder.add(builder.mul(n, index_of(planes)), index_of(p)), columns)]
                )
                for p in range(planes)
            ]
            for n in numbers
        ]
        all_sums = sum_planes(planes) if minimums else planes
        token_sums = builder.mul(sums_stride, index_of(all_sums))
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
            tile = Tile(
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
    whole = builder.icmp_signed(">=", left, index_of(lanes))
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
        sums: (T, all planes, sums_stride) as `activations` beside it draws them.
        token, last: first token of the tile, last of all; tokens behind the last repeat it.
        out: of row 0 of the group in token 0.
        rows: floats from one token of `out` to the next.
        left: rows of the tile that exist.
    """
    static = [value.literal_value for value in (kind, planes, tokens, isa, lanes)]
    return types.void(kind, planes, tokens, isa, lanes, *[types.int64] * 11), _generator(*static)
