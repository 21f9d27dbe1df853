"""What the code of one tile works on, and the steps that every type of weights shares; see `dots` beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from engine.ops.cpu.isa import Isa
from engine.ops.cpu.kernels.llvm import FLOAT, I8, I16, I32, I64, call, constant, fma, half_to_float, load, splat


def index_of(value: Any) -> Any:
    return ir.Constant(I64, value) if isinstance(value, int) else value


@dataclass
class Tile:
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
        place = self.builder.gep(self.weights, [self.builder.mul(index_of(index), index_of(4 * self.lanes))])
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
        value = load(self.builder, self.builder.gep(pointer, [index_of(offset)]), I32, 4)
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
                body(index_of(number))
            return
        with cgutils.for_range(self.builder, index_of(count), intp=I64) as loop:
            body(loop.index)

    def table(self, vectors: list[Any]) -> Callable[[Any], Any]:
        """Vectors that can be asked for by a number known only at run time."""
        builder = self.builder
        if len(self.values) == 1:
            return lambda index: vectors[index.constant]
        kind = vectors[0].type
        place = cgutils.alloca_once(builder, ir.ArrayType(kind, len(vectors)))
        for number, vector in enumerate(vectors):
            builder.store(vector, builder.gep(place, [index_of(0), index_of(number)]))
        return lambda index: builder.load(builder.gep(place, [index_of(0), index]))

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
                    offset = builder.add(at, index_of(4 * number))
                    total = self.dot(total, vector, self.broadcast(self.values[token][plane], offset))
                place = places[token][plane]
                builder.store(builder.add(builder.load(place), builder.mul(total, scale)), place)

    def started(self, token: int, plane: int, number: Any) -> Any:
        """The offset of a sub-block, from int32 `number` of the block in a plane of `sums`."""
        builder = self.builder
        pointer = builder.gep(self.sums[token], [builder.mul(self.sums_stride, index_of(plane))])
        return self.broadcast(pointer, builder.mul(index_of(number), index_of(4)))
