"""The steps of attention with a query in each lane of a vector, as LLVM code; see `attention` beside it.

Buffers are float32, one vector for each d or slot. A state of a chunk is y (Dh vectors), the maximum m, and the sum of
weights t. All addresses are 64-bit numbers in bytes, and so are strides. The first arguments of a step, as far as they
say so, are constants of the calling function.
"""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.isa import Isa
from engine.ops.cpu.kernels.exponential import exponential, floats
from engine.ops.cpu.kernels.llvm import FLOAT, I8, I16, I32, I64, call, fma, half_to_float, load, splat

_SUMS = {Isa.VNNI: (16, 16), Isa.AVX2: (8, 8), Isa.PLAIN: (8, 4)}
"""Registers that hold sums, about half of those that there are, and the floats that fit one."""
BLOCK = 32
"""Rows of v that are added one after another: with Dh 128, 16 KiB of float32."""
_AHEAD = 16
"""Rows of k, or of float16, that are asked for before they are needed where there are few queries; of v it is a block.

Memory is slower than the products of few queries. On one thread of a Zen 4 and keys and values that were in no cache,
GFLOP/s for 12 heads over 2 kv heads and 128 to 4,096 slots: float32 15 without and 33 with, float16 26 and 33. Where
they are in a cache it costs 5 %.
"""
_SQUARE = 8
_LINE = 64
_LOWEST = float("-inf")


def sums_at_once(isa: int, lanes: int) -> int:
    """Vectors of so many lanes whose sums are held in registers together."""
    registers, width = _SUMS[Isa(isa)]
    return registers // max(1, lanes // width)


def rows_at_once(isa: int, lanes: int) -> int:
    """Rows of k that are multiplied together."""
    return min(8, sums_at_once(isa, lanes))


def _number(value: Any) -> Any:
    return ir.Constant(I64, value) if isinstance(value, int) else value


class _Code:
    """The builder, for vectors of so many lanes."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes
        self.kind = ir.VectorType(FLOAT, lanes)
        self.few = lanes == _SQUARE

    def place(self, address: Any, index: Any, size: Any) -> Any:
        """Byte pointer to element `index`, each `size` bytes."""
        pointer = self.builder.inttoptr(address, I8.as_pointer())
        return self.builder.gep(pointer, [self.builder.mul(_number(index), _number(size))])

    def vector(self, address: Any, index: Any = 0, kind: Any = None) -> Any:
        """Vector `index` of a buffer."""
        return load(self.builder, self.place(address, index, 4 * self.lanes), kind or self.kind, 4)

    def put(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer())).align = 4

    def put_vector(self, value: Any, address: Any, index: Any = 0) -> None:
        self.put(value, self.place(address, index, 4 * self.lanes))

    def everywhere(self, pointer: Any, index: Any) -> Any:
        """Float `index` behind a byte pointer, in all lanes."""
        place = self.builder.gep(pointer, [self.builder.mul(index, _number(4))])
        return splat(self.builder, load(self.builder, place, FLOAT, 4), self.lanes)

    def ask(self, pointer: Any, offset: Any) -> None:
        """Have the cache line that holds the byte at `offset` brought nearer, to the second cache."""
        hints = [ir.Constant(I32, value) for value in (0, 2, 1)]  # to read, how near, data
        place = self.builder.gep(pointer, [offset])
        call(self.builder, "llvm.prefetch.p0", ir.VoidType(), [place, *hints])

    def loop(self, first: Any, last: Any, step: int = 1) -> Any:
        return cgutils.for_range_slice(self.builder, _number(first), _number(last), _number(step), I64)

    def steps(self, count: Any, step: int) -> Any:
        """Twice (begin, end, step): as many whole steps as fit, then single ones."""
        whole = self.builder.and_(count, _number(-step))
        return (0, whole, step), (whole, count, 1)

    def sums(self, count: int) -> list[Any]:
        """Places of vectors that LLVM keeps in registers."""
        return [cgutils.alloca_once(self.builder, self.kind) for _ in range(count)]

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of two; b where a is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def counts(self, address: Any) -> Any:
        """Slots that each lane sees, int32."""
        return self.vector(address, 0, ir.VectorType(I32, self.lanes))

    def sees(self, counts: Any, slot: Any) -> Any:
        """Lanes that see slot number `slot`."""
        return self.builder.icmp_signed(">", counts, splat(self.builder, self.builder.trunc(slot, I32), self.lanes))

    def shift(self, largest: Any) -> Any:
        """What is subtracted from scores: the largest, or 0 where all are -inf."""
        none = self.builder.fcmp_ordered("==", largest, floats(_LOWEST, self.lanes))
        return self.builder.select(none, floats(0.0, self.lanes), largest)

    def transposed(self, rows: list[Any]) -> list[Any]:
        """Vectors of the columns of a matrix, from vectors of its rows; it is square, or has one row or column."""
        builder, height, width = self.builder, len(rows), rows[0].type.count
        if height != width:
            columns = [ir.Constant(ir.VectorType(FLOAT, height), ir.Undefined)] * width
            for i, row in enumerate(rows):
                for j in range(width):
                    element = builder.extract_element(row, ir.Constant(I32, j))
                    columns[j] = builder.insert_element(columns[j], element, ir.Constant(I32, i))
            return columns
        found, bit = list(rows), 1
        while bit < width:
            # bit by bit of their numbers, rows and columns change places
            low = ir.Constant(ir.VectorType(I32, width), [width + j - bit if j & bit else j for j in range(width)])
            high = ir.Constant(ir.VectorType(I32, width), [width + j if j & bit else j + bit for j in range(width)])
            for i in range(height):
                if not i & bit:
                    pair = found[i], found[i + bit]
                    found[i], found[i + bit] = builder.shuffle_vector(*pair, low), builder.shuffle_vector(*pair, high)
            bit *= 2
        return found


def _exchange(code: _Code, rows: Any, offsets: Any, size: Any, buffer: Any, divisor: Any = None) -> None:
    """Rows of `size` floats, one per lane, to Dh vectors; or with a divisor quotients of these to the rows.

    Args:
        rows: address from which `offsets`, an address of 64-bit numbers, count the bytes to the row of each lane.
        divisor: address of one vector.
    """
    builder = code.builder
    square = ir.VectorType(FLOAT, _SQUARE)
    with code.loop(0, code.lanes, _SQUARE) as (lane, _):
        outer = [
            builder.add(rows, load(builder, code.place(offsets, builder.add(lane, _number(ahead)), 8), I64, 8))
            for ahead in range(_SQUARE)
        ]
        inner = builder.add(buffer, builder.mul(lane, _number(4)))
        total = divisor and load(builder, code.place(divisor, lane, 4), square, 4)
        for first, last, step in code.steps(size, _SQUARE):
            kind = ir.VectorType(FLOAT, step)
            with code.loop(first, last, step) as (d, _):
                of_rows = [code.place(row, d, 4) for row in outer]
                vectors = [code.place(inner, builder.add(d, _number(n)), 4 * code.lanes) for n in range(step)]
                if divisor:
                    values, targets = [builder.fdiv(load(builder, at, square, 4), total) for at in vectors], of_rows
                else:
                    values, targets = [load(builder, at, kind, 4) for at in of_rows], vectors
                for value, target in zip(code.transposed(values), targets, strict=True):
                    code.put(value, target)


@intrinsic(prefer_literal=True)
def take_queries(typingctx: Any, lanes: Any, q: Any, offsets: Any, size: Any, queries: Any) -> Any:
    """Rows of q to Dh vectors; `offsets` is the address of one 64-bit number per lane, bytes from q to its row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _exchange(_Code(builder, lanes.literal_value), *arguments[1:])
        return context.get_dummy_value()

    return types.void(lanes, *[types.int64] * 4), generate


@intrinsic(prefer_literal=True)
def give_results(typingctx: Any, lanes: Any, out: Any, offsets: Any, size: Any, state: Any) -> Any:
    """y / t of a state to rows of `out`; `offsets` as of `take_queries`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        code = _Code(builder, lanes.literal_value)
        out, offsets, size, state = arguments[1:]
        total = builder.add(state, builder.mul(builder.add(size, _number(1)), _number(4 * code.lanes)))
        _exchange(code, out, offsets, size, state, total)
        return context.get_dummy_value()

    return types.void(lanes, *[types.int64] * 4), generate


@intrinsic(prefer_literal=True)
def widen_rows(
    typingctx: Any, isa: Any, lanes: Any, source: Any, stride: Any, rows: Any, size: Any, target: Any
) -> Any:
    """Rows of `size` float16, `stride` bytes apart, as float32 without gaps."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, stride, rows, size, target = arguments[2:]
        code = _Code(builder, lanes.literal_value)
        far = builder.mul(stride, _number(_AHEAD))
        with code.loop(0, rows) as (row, _):
            halves, wide = code.place(source, row, stride), code.place(target, builder.mul(row, size), 4)
            if code.few:
                with code.loop(0, builder.mul(size, _number(2)), _LINE) as (at, _):
                    code.ask(halves, builder.add(far, at))
            for first, last, width in code.steps(size, _LINE // 4):
                with code.loop(first, last, width) as (d, _):
                    place = builder.gep(halves, [builder.mul(d, _number(2))])
                    bits = load(builder, place, ir.VectorType(I16, width), 2)
                    value = half_to_float(builder, bits, instruction=isa.literal_value != Isa.PLAIN)
                    code.put(value, builder.gep(wide, [builder.mul(d, _number(4))]))
        return context.get_dummy_value()

    return types.void(isa, lanes, *[types.int64] * 5), generate


@intrinsic(prefer_literal=True)
def score_rows(
    typingctx: Any, isa: Any, lanes: Any, k: Any, stride: Any, rows: Any, size: Any, q: Any, counts: Any, slot: Any,
    fresh: Any, scale: Any, largest: Any, scores: Any,
) -> Any:  # fmt: skip
    """Scores of up to `rows_at_once` slots, and their maximum; of unseen slots -inf.

    Args:
        k: of the first row.
        rows: that there are.
        q: Dh vectors.
        counts: int32, slots that each lane sees.
        slot: number of the first row.
        fresh: not 0 if there is no maximum yet.
        scores: `rows_at_once` vectors.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        k, stride, rows, size, q, counts, slot, fresh, scale, largest, scores = arguments[2:]
        code = _Code(builder, lanes.literal_value)
        last = builder.sub(rows, _number(1))
        pointers, sums = [], code.sums(rows_at_once(isa.literal_value, code.lanes))
        for row, total in enumerate(sums):
            number = builder.select(builder.icmp_signed("<", _number(row), last), _number(row), last)
            pointers.append(code.place(k, number, stride))
            builder.store(floats(0.0, code.lanes), total)
        far = builder.mul(stride, _number(_AHEAD))
        with code.loop(0, size, _LINE // 4) as (begin, _):
            if code.few:
                for pointer in pointers:
                    code.ask(pointer, builder.add(far, builder.mul(begin, _number(4))))
            end = builder.add(begin, _number(_LINE // 4))
            with code.loop(begin, builder.select(builder.icmp_signed("<", end, size), end, size)) as (d, _):
                query = code.vector(q, d)
                for pointer, total in zip(pointers, sums, strict=True):
                    builder.store(fma(builder, code.everywhere(pointer, d), query, builder.load(total)), total)
        lowest = floats(_LOWEST, code.lanes)
        most = builder.select(builder.icmp_signed("!=", fresh, _number(0)), lowest, code.vector(largest))
        seen, factor = code.counts(counts), splat(builder, scale, code.lanes)
        for row, total in enumerate(sums):
            score = builder.fmul(builder.load(total), factor)
            score = builder.select(code.sees(seen, builder.add(slot, _number(row))), score, lowest)
            most = code.larger(score, most)
            code.put_vector(score, scores, row)
        code.put_vector(most, largest)
        return context.get_dummy_value()

    return types.void(isa, lanes, *[types.int64] * 8, types.float32, *[types.int64] * 2), generate


@intrinsic(prefer_literal=True)
def weigh(typingctx: Any, lanes: Any, scores: Any, count: Any, largest: Any, total: Any) -> Any:
    """Scores to weights, exp(score - largest), and their sum in order of the slots."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scores, count, largest, total = arguments[1:]
        code = _Code(builder, lanes.literal_value)
        shift = code.shift(code.vector(largest))
        (place,) = code.sums(1)
        builder.store(floats(0.0, code.lanes), place)
        with code.loop(0, count) as (slot, _):
            weight = exponential(builder, builder.fsub(code.vector(scores, slot), shift))
            code.put_vector(weight, scores, slot)
            builder.store(builder.fadd(builder.load(place), weight), place)
        code.put_vector(builder.load(place), total)
        return context.get_dummy_value()

    return types.void(lanes, *[types.int64] * 4), generate


@intrinsic(prefer_literal=True)
def mix_rows(
    typingctx: Any, isa: Any, lanes: Any, masked: Any, v: Any, stride: Any, rows: Any, size: Any, weights: Any,
    counts: Any, slot: Any, fresh: Any, mixed: Any,
) -> Any:  # fmt: skip
    """Add rows of v by their weights to `mixed`, Dh vectors.

    Args:
        masked: a constant; 0 if every lane sees every row, else rows that a lane does not see are left out.
        v: of the first row.
        weights: of the first row.
        counts: int32, slots that each lane sees.
        slot: number of the first row.
        fresh: not 0 if nothing has been added yet.
    """
    selecting = masked.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v, stride, rows, size, weights, counts, slot, fresh, mixed = arguments[3:]
        code = _Code(builder, lanes.literal_value)
        empty = builder.icmp_signed("!=", fresh, _number(0))
        seen, far = code.counts(counts), builder.mul(stride, _number(BLOCK))
        for first, end, step in code.steps(size, sums_at_once(isa.literal_value, code.lanes)):
            sums = code.sums(step)
            with code.loop(first, end, step) as (d, _):
                places = [builder.add(d, _number(ahead)) for ahead in range(step)]
                for place, total in zip(places, sums, strict=True):
                    builder.store(builder.select(empty, floats(0.0, code.lanes), code.vector(mixed, place)), total)
                with code.loop(0, rows) as (row, _):
                    weight, values = code.vector(weights, row), code.place(v, row, stride)
                    if code.few and step > 1:
                        code.ask(values, builder.add(far, builder.mul(d, _number(4))))
                    shown = code.sees(seen, builder.add(slot, row)) if selecting else None
                    for place, total in zip(places, sums, strict=True):
                        old = builder.load(total)
                        new = fma(builder, code.everywhere(values, place), weight, old)
                        builder.store(builder.select(shown, new, old) if selecting else new, total)
                for place, total in zip(places, sums, strict=True):
                    code.put_vector(builder.load(total), mixed, place)
        return context.get_dummy_value()

    return types.void(isa, lanes, masked, *[types.int64] * 9), generate


@intrinsic(prefer_literal=True)
def join_states(typingctx: Any, lanes: Any, state: Any, other: Any, size: Any, counts: Any, slot: Any) -> Any:
    """Add the state of a chunk to that of those before it, in the lanes that see its first slot, number `slot`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state, other, size, counts, slot = arguments[1:]
        code = _Code(builder, lanes.literal_value)
        shown = code.sees(code.counts(counts), slot)
        most = code.larger(code.vector(state, size), code.vector(other, size))
        shift = code.shift(most)
        old_factor, new_factor = (
            exponential(builder, builder.fsub(code.vector(where, size), shift)) for where in (state, other)
        )

        def join(place: Any) -> None:
            old = code.vector(state, place)
            new = fma(builder, old, old_factor, builder.fmul(code.vector(other, place), new_factor))
            code.put_vector(builder.select(shown, new, old), state, place)

        with code.loop(0, size) as (d, _):
            join(d)
        join(builder.add(size, _number(1)))
        code.put_vector(builder.select(shown, most, code.vector(state, size)), state, size)
        return context.get_dummy_value()

    return types.void(lanes, *[types.int64] * 5), generate
