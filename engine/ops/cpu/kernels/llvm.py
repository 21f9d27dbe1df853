"""Pieces of LLVM code that the kernels share: unaligned loads, splats, fused multiply-add, atomics."""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.isa import Isa, available

I8, I16, I32, I64 = (ir.IntType(width) for width in (8, 16, 32, 64))
FLOAT = ir.FloatType()


def data_pointer(context: Any, builder: Any, type_: Any, array: Any) -> Any:
    """Pointer to the first element of an array argument."""
    return context.make_array(type_)(context, builder, array).data


def at(builder: Any, pointer: Any, offset: Any, element: Any) -> Any:
    """Pointer to `element` at `offset` elements of the pointer's own type."""
    return builder.bitcast(builder.gep(pointer, [offset]), element.as_pointer())


def load_value(builder: Any, pointer: Any, align: int) -> Any:
    """What a pointer points to."""
    value = builder.load(pointer)
    value.align = align
    return value


def load(builder: Any, pointer: Any, type_: Any, align: int = 1) -> Any:
    """A value of any type from a byte pointer."""
    return load_value(builder, builder.bitcast(pointer, type_.as_pointer()), align)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with one value in all lanes."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def constant(value: int, lanes: int, type_: Any = I32) -> Any:
    """A vector constant with one value in all lanes."""
    return ir.Constant(ir.VectorType(type_, lanes), [value] * lanes)


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Call an LLVM intrinsic by name."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c with one rounding, lane by lane."""
    return call(builder, f"llvm.fma.v{a.type.count}f32", a.type, [a, b, c])


def half_to_float(builder: Any, bits: Any, *, instruction: bool = Isa.AVX2 in available()) -> Any:
    """float16 bits, one i16 or a vector, to float32; exact, subnormals and infinities included.

    Args:
        instruction: use the processor's own, which every one with AVX2 has.
    """
    lanes = getattr(bits.type, "count", 0)

    def kind(element: Any) -> Any:
        return ir.VectorType(element, lanes) if lanes else element

    def number(value: Any, element: Any = I32) -> Any:
        return ir.Constant(kind(element), [value] * lanes if lanes else value)

    if instruction:
        return builder.fpext(builder.bitcast(bits, kind(ir.HalfType())), kind(FLOAT))
    wide = builder.zext(bits, kind(I32))
    magnitude = builder.shl(builder.and_(wide, number(0x7FFF)), number(13))
    # the exponent is 112 too small for float32; the product is exact for normals and subnormals alike
    scaled = builder.fmul(builder.bitcast(magnitude, kind(FLOAT)), number(2.0**112, FLOAT))
    large = builder.icmp_unsigned(">=", magnitude, number(0x7C00 << 13))
    value = builder.select(large, builder.or_(magnitude, number(0x7F800000)), builder.bitcast(scaled, kind(I32)))
    sign = builder.shl(builder.and_(wide, number(0x8000)), number(16))
    return builder.bitcast(builder.or_(value, sign), kind(FLOAT))


def float_to_half(builder: Any, values: Any, *, instruction: bool = Isa.AVX2 in available()) -> Any:
    """A vector of floats to float16 bits, to nearest, ties to even, beyond 65504 to infinity; a NaN stays one.

    Args:
        instruction: use the processor's own, which every one with AVX2 has.
    """
    lanes = values.type.count
    halves = ir.VectorType(I16, lanes)
    if instruction:
        return builder.bitcast(builder.fptrunc(values, ir.VectorType(ir.HalfType(), lanes)), halves)
    wide = ir.VectorType(I32, lanes)

    def number(value: int) -> Any:
        return constant(value, lanes)

    def least(a: Any, b: Any) -> Any:
        return builder.select(builder.icmp_unsigned("<", a, b), a, b)

    bits = builder.bitcast(values, wide)
    magnitude = builder.and_(bits, number(0x7FFFFFFF))
    # 13 bits go: half of the last bit that stays, less one if that is even, carries where it has to; beyond 65520 that
    # makes an infinity, and more is one anyway
    odd = builder.and_(builder.lshr(magnitude, number(13)), number(1))
    rounded = builder.add(builder.add(magnitude, number(0xFFF - (112 << 23))), odd)
    normal = least(builder.lshr(rounded, number(13)), number(0x7C00))
    # one unit in the last place of 0.5 is 2^-24, the smallest float16
    small = builder.fadd(builder.bitcast(magnitude, values.type), ir.Constant(values.type, [0.5] * lanes))
    subnormal = builder.sub(builder.bitcast(small, wide), number(0x3F000000))
    found = builder.select(builder.icmp_unsigned("<", magnitude, number(113 << 23)), subnormal, normal)
    found = builder.select(builder.icmp_unsigned(">", magnitude, number(0x7F800000)), number(0x7E00), found)
    sign = builder.and_(builder.lshr(bits, number(16)), number(0x8000))
    return builder.trunc(builder.or_(found, sign), halves)


def _loader(element: Any, result: Any) -> Any:
    @intrinsic
    def load_element(typingctx: Any, raw: Any, offset: Any) -> Any:
        """One little-endian element of a uint8 array at any byte."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = data_pointer(context, builder, signature.args[0], arguments[0])
            return load(builder, builder.gep(pointer, [arguments[1]]), element)

        return result(raw, types.int64), generate

    return load_element


load_u16 = _loader(I16, types.uint16)
load_u32 = _loader(I32, types.uint32)
load_f32 = _loader(FLOAT, types.float32)


def _pointer_to(element: Any, result: Any) -> Any:
    @intrinsic
    def pointer(typingctx: Any, address: Any) -> Any:
        """A typed pointer from an address, for `numba.carray`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], element.as_pointer())

        return types.CPointer(result)(types.int64), generate

    return pointer


bytes_at = _pointer_to(I8, types.uint8)
floats_at = _pointer_to(FLOAT, types.float32)
signed_at = _pointer_to(I8, types.int8)
ints_at = _pointer_to(I32, types.int32)
dwords_at = _pointer_to(I32, types.uint32)
doubles_at = _pointer_to(ir.DoubleType(), types.float64)
integers_at = _pointer_to(I64, types.int64)


@intrinsic
def store_halves(typingctx: Any, source: Any, target: Any, count: Any) -> Any:
    """`count` floats at the address source to float16 at target, to nearest, ties to even, beyond 65504 to infinity."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(address, I8.as_pointer()) for address in arguments[:2])
        whole = builder.and_(arguments[2], ir.Constant(I64, -8))
        for first, last, lanes in ((ir.Constant(I64, 0), whole, 8), (whole, arguments[2], 1)):
            floats, halves = ir.VectorType(FLOAT, lanes), ir.VectorType(I16, lanes)
            with cgutils.for_range_slice(builder, first, last, ir.Constant(I64, lanes), I64) as (index, _):
                value = load(builder, builder.gep(source, [builder.mul(index, ir.Constant(I64, 4))]), floats, 4)
                place = builder.gep(target, [builder.mul(index, ir.Constant(I64, 2))])
                builder.store(float_to_half(builder, value), builder.bitcast(place, halves.as_pointer())).align = 2
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _place(builder: Any, address: Any, index: Any) -> Any:
    """Pointer to 64-bit word `index` behind an address."""
    return builder.gep(builder.inttoptr(address, I64.as_pointer()), [index])


@intrinsic
def read_word(typingctx: Any, address: Any, index: Any) -> Any:
    """Word `index` behind an address, as other threads last wrote it (acquire)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_place(builder, *arguments), ordering="acquire", align=8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def write_word(typingctx: Any, address: Any, index: Any, value: Any) -> Any:
    """Set word `index` behind an address; what was written before is seen by who reads it (release)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(builder, arguments[0], arguments[1])
        builder.store_atomic(arguments[2], place, ordering="release", align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def add_word(typingctx: Any, address: Any, index: Any, value: Any) -> Any:
    """Add to word `index` behind an address in one step; the word as it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(builder, arguments[0], arguments[1])
        return builder.atomic_rmw("add", place, arguments[2], ordering="acq_rel")

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def breathe(typingctx: Any) -> Any:
    """One step of waiting: tells x86 that this is a spin loop, does nothing elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if builder.module.triple.startswith("x86_64"):
            call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def call_address(typingctx: Any, function: Any, arguments: Any, part: Any) -> Any:
    """Call the kernel of two arguments at an address."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(I64, [I64, I64])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [values[1], values[2]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def allocate(typingctx: Any, count: Any) -> Any:
    """Address of so many bytes, uninitialised, 16-byte aligned."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(I8.as_pointer(), [I64])
        function = cgutils.get_or_insert_function(builder.module, kind, "malloc")
        return builder.ptrtoint(builder.call(function, arguments), I64)

    return types.int64(types.int64), generate


@intrinsic
def free(typingctx: Any, address: Any) -> Any:
    """Give back what was allocated."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, "free")
        builder.call(function, [builder.inttoptr(arguments[0], I8.as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64), generate
