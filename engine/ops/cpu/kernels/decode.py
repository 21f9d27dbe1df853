"""Packed rows to float32, with the roundings of `engine.quant`, bit for bit: the inner loop of the exact precision."""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from engine.ops.cpu.kernels.compile import copied, inlined
from engine.ops.cpu.kernels.llvm import (
    FLOAT,
    I8,
    I32,
    at,
    data_pointer,
    load_f32,
    load_u16,
    load_u32,
    load_value,
    splat,
)

F32, F16, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K, BF16 = 0, 1, 6, 8, 12, 13, 14, 30
"""Type numbers as in `engine.gguf.types.GgmlType`; plain integers because numba freezes them into the code."""


@copied
def _half(bits: Any) -> Any:
    """float16 bits as float32; exact, subnormals and infinities included."""
    magnitude = np.uint32(np.uint32(bits & np.uint16(0x7FFF)) << np.uint32(13))
    # the exponent is 112 too small for float32; the product is exact for normals and subnormals alike
    value = magnitude.view(np.float32) * np.float32(2.0**112)
    if magnitude >= np.uint32(0x7C00 << 13):
        value = np.uint32(magnitude | np.uint32(0x7F800000)).view(np.float32)
    return -value if bits & np.uint16(0x8000) else value


def _unpacker(width: int, quants: Callable[[Any, Any, Any], Any], floors: bool) -> Any:
    """An intrinsic (raw, first, second, scale, floor, out, to): `width` weights, scale * q [- floor], into out[to:].

    `quants` emits the code that loads the quants q as a vector of int32 from two places; product and difference are
    rounded one by one, as numpy does.
    """
    floats = ir.VectorType(FLOAT, width)

    @intrinsic
    def unpack(typingctx: Any, raw: Any, first: Any, second: Any, scale: Any, floor: Any, out: Any, to: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            raw, first, second, scale, floor, out, to = arguments
            source = data_pointer(context, builder, signature.args[0], raw)
            target = data_pointer(context, builder, signature.args[5], out)
            weights = builder.sitofp(
                quants(builder, builder.gep(source, [first]), builder.gep(source, [second])), floats
            )
            weights = builder.fmul(weights, splat(builder, scale, width))
            if floors:
                weights = builder.fsub(weights, splat(builder, floor, width))
            store = builder.store(weights, at(builder, target, to, floats))
            store.align = 4
            return context.get_dummy_value()

        index, real = types.int64, types.float32
        return types.void(raw, index, index, real, real, out, index), generate

    return unpack


def _bytes(builder: Any, pointer: Any, width: int, shift: int, mask: int) -> Any:
    """(byte >> shift) & mask of `width` bytes, as bytes."""
    vector = ir.VectorType(I8, width)
    loaded = load_value(builder, builder.bitcast(pointer, vector.as_pointer()), 1)
    if shift:
        loaded = builder.lshr(loaded, ir.Constant(vector, [shift] * width))
    return builder.and_(loaded, ir.Constant(vector, [mask] * width))


def _nibbles(shift: int) -> Callable[[Any, Any, Any], Any]:
    """32 quants of Q4_K: the low or the high nibbles of 32 bytes."""
    wide = ir.VectorType(I32, 32)
    return lambda builder, place, _: builder.zext(_bytes(builder, place, 32, shift, 15), wide)


def _sixes(quarter: int) -> Callable[[Any, Any, Any], Any]:
    """16 quants of Q6_K: nibbles of `ql` at the first place, pairs of bits of `qh` at the second, minus 32."""

    def quants(builder: Any, low: Any, high: Any) -> Any:
        vector, wide = ir.VectorType(I8, 16), ir.VectorType(I32, 16)
        nibbles = _bytes(builder, low, 16, 4 * (quarter >> 1), 15)
        pairs = builder.shl(_bytes(builder, high, 16, 2 * quarter, 3), ir.Constant(vector, [4] * 16))
        return builder.sub(builder.zext(builder.or_(nibbles, pairs), wide), ir.Constant(wide, [32] * 16))

    return quants


def _signed(builder: Any, place: Any, _: Any) -> Any:
    """32 quants of Q8_0: signed bytes."""
    vector = ir.VectorType(I8, 32)
    return builder.sext(load_value(builder, builder.bitcast(place, vector.as_pointer()), 1), ir.VectorType(I32, 32))


def _fives(half: int) -> Callable[[Any, Any, Any], Any]:
    """16 quants of Q5_0: nibbles at the first place, bits of the uint32 `qh` at the second, minus 16."""

    def quants(builder: Any, low: Any, high: Any) -> Any:
        wide = ir.VectorType(I32, 16)
        nibbles = builder.zext(_bytes(builder, low, 16, 4 * half, 15), wide)
        word = splat(builder, load_value(builder, builder.bitcast(high, I32.as_pointer()), 1), 16)
        bits = builder.lshr(word, ir.Constant(wide, list(range(16 * half, 16 * half + 16))))
        fifths = builder.shl(builder.and_(bits, ir.Constant(wide, [1] * 16)), ir.Constant(wide, [4] * 16))
        return builder.sub(builder.or_(nibbles, fifths), ir.Constant(wide, [16] * 16))

    return quants


def _k_fives(sub_block: int) -> Callable[[Any, Any, Any], Any]:
    """32 quants of Q5_K: nibbles at the first place, one bit of each byte of `qh` at the second."""

    def quants(builder: Any, low: Any, high: Any) -> Any:
        fifths = builder.shl(_bytes(builder, high, 32, sub_block, 1), ir.Constant(ir.VectorType(I8, 32), [4] * 32))
        nibbles = _bytes(builder, low, 32, 4 * (sub_block % 2), 15)
        return builder.zext(builder.or_(nibbles, fifths), ir.VectorType(I32, 32))

    return quants


_unpack_q4_low, _unpack_q4_high = _unpacker(32, _nibbles(0), True), _unpacker(32, _nibbles(4), True)
_unpack_q6_0, _unpack_q6_1 = _unpacker(16, _sixes(0), False), _unpacker(16, _sixes(1), False)
_unpack_q6_2, _unpack_q6_3 = _unpacker(16, _sixes(2), False), _unpacker(16, _sixes(3), False)
_unpack_q8 = _unpacker(32, _signed, False)
_unpack_q5_low, _unpack_q5_high = _unpacker(16, _fives(0), False), _unpacker(16, _fives(1), False)
_unpack_k5_0, _unpack_k5_1 = _unpacker(32, _k_fives(0), True), _unpacker(32, _k_fives(1), True)
_unpack_k5_2, _unpack_k5_3 = _unpacker(32, _k_fives(2), True), _unpacker(32, _k_fives(3), True)
_unpack_k5_4, _unpack_k5_5 = _unpacker(32, _k_fives(4), True), _unpacker(32, _k_fives(5), True)
_unpack_k5_6, _unpack_k5_7 = _unpacker(32, _k_fives(6), True), _unpacker(32, _k_fives(7), True)
_NO_FLOOR = np.float32(0)


@copied
def _decode_q4_k(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 144 bytes at byte `at` -> 256 weights; layout in `engine.quant.q4_k`."""
    d, dmin = _half(load_u16(raw, at)), _half(load_u16(raw, at + 2))
    first, second, low = load_u32(raw, at + 4), load_u32(raw, at + 8), load_u32(raw, at + 12)
    six, four, top = np.uint32(63), np.uint32(15), np.uint32(48)
    for pair in range(2):
        shift = np.uint32(16 * pair)
        f, s, b = np.uint32(first >> shift), np.uint32(second >> shift), np.uint32(low >> shift)
        quants, weights = at + 16 + 32 * pair, to + 64 * pair
        scale, minimum = np.float32(f & six), np.float32(s & six)
        _unpack_q4_low(raw, quants, 0, d * scale, dmin * minimum, out, weights)
        scale, minimum = np.float32((f >> 8) & six), np.float32((s >> 8) & six)
        _unpack_q4_high(raw, quants, 0, d * scale, dmin * minimum, out, weights + 32)
        scale = np.float32((b & four) | ((f >> 2) & top))
        minimum = np.float32(((b >> 4) & four) | ((s >> 2) & top))
        _unpack_q4_low(raw, quants + 64, 0, d * scale, dmin * minimum, out, weights + 128)
        scale = np.float32(((b >> 8) & four) | ((f >> 10) & top))
        minimum = np.float32(((b >> 12) & four) | ((s >> 10) & top))
        _unpack_q4_high(raw, quants + 64, 0, d * scale, dmin * minimum, out, weights + 160)


@copied
def _decode_q6_k(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 210 bytes at byte `at` -> 256 weights; layout in `engine.quant.q6_k`."""
    d = _half(load_u16(raw, at + 208))
    for half in range(2):
        for part in range(2):
            low, high = at + 64 * half + 16 * part, at + 128 + 32 * half + 16 * part
            scales, weights = at + 192 + 8 * half + part, to + 128 * half + 16 * part
            scale = d * np.float32(np.int8(raw[scales]))
            _unpack_q6_0(raw, low, high, scale, _NO_FLOOR, out, weights)
            scale = d * np.float32(np.int8(raw[scales + 2]))
            _unpack_q6_1(raw, low + 32, high, scale, _NO_FLOOR, out, weights + 32)
            scale = d * np.float32(np.int8(raw[scales + 4]))
            _unpack_q6_2(raw, low, high, scale, _NO_FLOOR, out, weights + 64)
            scale = d * np.float32(np.int8(raw[scales + 6]))
            _unpack_q6_3(raw, low + 32, high, scale, _NO_FLOOR, out, weights + 96)


@copied
def _decode_q8_0(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 34 bytes at byte `at` -> 32 weights; layout in `engine.quant.q8_0`."""
    _unpack_q8(raw, at + 2, 0, _half(load_u16(raw, at)), _NO_FLOOR, out, to)


@copied
def _decode_q5_0(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 22 bytes at byte `at` -> 32 weights; layout in `engine.quant.q5_0`."""
    d = _half(load_u16(raw, at))
    _unpack_q5_low(raw, at + 6, at + 2, d, _NO_FLOOR, out, to)
    _unpack_q5_high(raw, at + 6, at + 2, d, _NO_FLOOR, out, to + 16)


@copied
def _lower(first: Any, second: Any, shift: Any) -> Any:
    """Scale and minimum of a sub-block 0..3, whose bits start at `shift`."""
    return np.float32((first >> shift) & np.uint32(63)), np.float32((second >> shift) & np.uint32(63))


@copied
def _upper(first: Any, second: Any, low: Any, shift: Any) -> Any:
    """Scale and minimum of a sub-block 4..7: low bits in `low`, high ones above the scales 0..3."""
    four, top, two = np.uint32(15), np.uint32(48), np.uint32(2)
    scale = ((low >> shift) & four) | ((first >> (shift + two)) & top)
    minimum = ((low >> (shift + np.uint32(4))) & four) | ((second >> (shift + two)) & top)
    return np.float32(scale), np.float32(minimum)


@copied
def _decode_q5_k(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 176 bytes at byte `at` -> 256 weights; layout in `engine.quant.q5_k`."""
    d, dmin = _half(load_u16(raw, at)), _half(load_u16(raw, at + 2))
    first, second, low = load_u32(raw, at + 4), load_u32(raw, at + 8), load_u32(raw, at + 12)
    high, quants = at + 16, at + 48
    scale, minimum = _lower(first, second, np.uint32(0))
    _unpack_k5_0(raw, quants, high, d * scale, dmin * minimum, out, to)
    scale, minimum = _lower(first, second, np.uint32(8))
    _unpack_k5_1(raw, quants, high, d * scale, dmin * minimum, out, to + 32)
    scale, minimum = _lower(first, second, np.uint32(16))
    _unpack_k5_2(raw, quants + 32, high, d * scale, dmin * minimum, out, to + 64)
    scale, minimum = _lower(first, second, np.uint32(24))
    _unpack_k5_3(raw, quants + 32, high, d * scale, dmin * minimum, out, to + 96)
    scale, minimum = _upper(first, second, low, np.uint32(0))
    _unpack_k5_4(raw, quants + 64, high, d * scale, dmin * minimum, out, to + 128)
    scale, minimum = _upper(first, second, low, np.uint32(8))
    _unpack_k5_5(raw, quants + 64, high, d * scale, dmin * minimum, out, to + 160)
    scale, minimum = _upper(first, second, low, np.uint32(16))
    _unpack_k5_6(raw, quants + 96, high, d * scale, dmin * minimum, out, to + 192)
    scale, minimum = _upper(first, second, low, np.uint32(24))
    _unpack_k5_7(raw, quants + 96, high, d * scale, dmin * minimum, out, to + 224)


@inlined
def decode_row(kind: int, raw: Any, at: int, columns: int, out: Any, to: int) -> None:
    """Decode the row that starts at byte `at` of raw (bytes,) into out[to : to + columns]."""
    if kind == Q4_K:
        for block in range(columns // 256):
            _decode_q4_k(raw, at + 144 * block, out, to + 256 * block)
    elif kind == Q6_K:
        for block in range(columns // 256):
            _decode_q6_k(raw, at + 210 * block, out, to + 256 * block)
    elif kind == Q8_0:
        for block in range(columns // 32):
            _decode_q8_0(raw, at + 34 * block, out, to + 32 * block)
    elif kind == Q5_K:
        for block in range(columns // 256):
            _decode_q5_k(raw, at + 176 * block, out, to + 256 * block)
    elif kind == Q5_0:
        for block in range(columns // 32):
            _decode_q5_0(raw, at + 22 * block, out, to + 32 * block)
    elif kind == F32:
        for i in range(columns):
            out[to + i] = load_f32(raw, at + 4 * i)
    elif kind == F16:
        for i in range(columns):
            out[to + i] = _half(load_u16(raw, at + 2 * i))
    elif kind == BF16:
        for i in range(columns):
            out[to + i] = np.uint32(np.uint32(load_u16(raw, at + 2 * i)) << np.uint32(16)).view(np.float32)
