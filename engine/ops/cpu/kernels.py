"""Compiled loops of the CPU backend: packed rows to float32, dot products, attention.

One file on purpose: numba's cache notices a change of the file that holds a function, not of what it calls elsewhere.

*Order of summation.* Every dot product runs over 16 lanes: lane l adds the products of k = l, l + 16, l + 32, ... with
fused multiply-add, a scalar adds the last K % 16 products, and the lanes are added pairwise, 16 -> 8 -> 4 -> 2 -> 1.
How many rows and tokens share one pass over memory, and which thread runs them, does not enter; so a result is
bitwise the same for 1 and for T tokens, and for any number of threads.

*Weights.* A row is decoded into a buffer of its K weights (with the roundings of `engine.quant`, bit for bit), used
for all tokens, and overwritten. No other float32 copy of a weight exists.
"""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
ROWS_AT_ONCE = 4
"""Rows decoded before their dot products: enough independent sums to hide the latency of fused multiply-add."""

_FLOAT = ir.FloatType()
_I32 = ir.IntType(32)
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)

F32, F16, Q8_0, Q4_K, Q6_K, BF16 = 0, 1, 8, 12, 14, 30
"""Type numbers as in `engine.gguf.types.GgmlType`; plain integers because numba freezes them into the code."""


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`njit` that keeps its result on disk where numba finds a place to write to, and compiles anew elsewhere."""

    def compile_or_load(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # numba: "cannot cache function: no locator available for file"
            return njit(nogil=True, **options)(function)

    return compile_or_load


def _data(context: Any, builder: Any, type_: Any, array: Any) -> Any:
    """Pointer to the first element of an array argument."""
    return context.make_array(type_)(context, builder, array).data


def _at(builder: Any, pointer: Any, offset: Any, element: Any) -> Any:
    """Pointer to `element` at `offset` elements of the pointer's own type."""
    return builder.bitcast(builder.gep(pointer, [offset]), element.as_pointer())


def _load(builder: Any, pointer: Any, align: int) -> Any:
    value = builder.load(pointer)
    value.align = align
    return value


def _loader(element: Any, result: Any) -> Any:
    """An intrinsic (raw uint8 array, byte offset) -> one little-endian element; the offset needs no alignment."""

    @intrinsic
    def load(typingctx: Any, raw: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _data(context, builder, signature.args[0], arguments[0])
            return _load(builder, _at(builder, pointer, arguments[1], element), 1)

        return result(raw, types.int64), generate

    return load


_load_u16 = _loader(ir.IntType(16), types.uint16)
_load_u32 = _loader(_I32, types.uint32)
_load_f32 = _loader(_FLOAT, types.float32)


def _splat(builder: Any, value: Any, width: int) -> Any:
    """A vector of `width` floats with one value in all lanes."""
    undefined = ir.Constant(ir.VectorType(_FLOAT, width), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, width), [0] * width))


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c with one rounding, of floats or of vectors."""
    name = "llvm.fma.f32" if a.type == _FLOAT else f"llvm.fma.v{LANES}f32"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


def _reduce(builder: Any, vector: Any) -> Any:
    """Sum of the lanes, pairwise: lane l plus lane l + half."""
    half = LANES // 2
    while half:
        undefined = ir.Constant(vector.type, ir.Undefined)
        low = builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(_I32, half), list(range(half))))
        upper = list(range(half, 2 * half))
        high = builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(_I32, half), upper))
        vector = builder.fadd(low, high)
        half //= 2
    return builder.extract_element(vector, ir.Constant(_I32, 0))


def _dot_generator(rows: int, tokens: int) -> Callable[..., Any]:
    """Code of `rows` x `tokens` dot products that share their loads; see `_dot`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, a_start, a_stride, b, b_start, b_stride, count, out, out_start, out_stride = arguments
        a_data = _data(context, builder, signature.args[0], a)
        b_data = _data(context, builder, signature.args[3], b)
        out_data = _data(context, builder, signature.args[7], out)

        def starts(first: Any, stride: Any, number: int) -> list[Any]:
            found = [first]
            for _ in range(number - 1):
                found.append(builder.add(found[-1], stride))
            return found

        a_starts, b_starts = starts(a_start, a_stride, rows), starts(b_start, b_stride, tokens)
        pairs = [(row, token) for row in range(rows) for token in range(tokens)]
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        lanes = {pair: cgutils.alloca_once_value(builder, zero) for pair in pairs}
        tails = {pair: cgutils.alloca_once_value(builder, ir.Constant(_FLOAT, 0.0)) for pair in pairs}
        whole = builder.and_(count, ir.Constant(_INDEX, -LANES))

        def add_products(k: Any, element: Any, sums: dict[tuple[int, int], Any]) -> None:
            left = [_load(builder, _at(builder, a_data, builder.add(s, k), element), 4) for s in a_starts]
            right = [_load(builder, _at(builder, b_data, builder.add(s, k), element), 4) for s in b_starts]
            for row, token in pairs:
                place = sums[row, token]
                builder.store(_fma(builder, left[row], right[token], builder.load(place)), place)

        step = ir.Constant(_INDEX, LANES)
        with cgutils.for_range_slice(builder, ir.Constant(_INDEX, 0), whole, step, _INDEX) as (k, _):
            add_products(k, _VECTOR, lanes)
        with cgutils.for_range_slice(builder, whole, count, ir.Constant(_INDEX, 1), _INDEX) as (k, _):
            add_products(k, _FLOAT, tails)
        row_starts = starts(out_start, ir.Constant(_INDEX, 1), rows)
        for row, token in pairs:
            total = builder.fadd(_reduce(builder, builder.load(lanes[row, token])), builder.load(tails[row, token]))
            place = builder.add(row_starts[row], builder.mul(out_stride, ir.Constant(_INDEX, token)))
            store = builder.store(total, builder.gep(out_data, [place]))
            store.align = 4
        return context.get_dummy_value()

    return generate


def _dot(rows: int, tokens: int) -> Any:
    """An intrinsic: out[o + r + t * out_stride] = sum_k a[i + r * a_stride + k] * b[j + t * b_stride + k].

    Arguments: a, i, a_stride, b, j, b_stride, K, out, o, out_stride; arrays are float32, the rest counts elements.
    """

    @intrinsic
    def dot(
        typingctx: Any,
        a: Any,
        a_start: Any,
        a_stride: Any,
        b: Any,
        b_start: Any,
        b_stride: Any,
        count: Any,
        out: Any,
        out_start: Any,
        out_stride: Any,
    ) -> Any:
        index = types.int64
        return types.void(a, index, index, b, index, index, index, out, index, index), _dot_generator(rows, tokens)

    return dot


_dot_4x1, _dot_2x2, _dot_1x1 = _dot(4, 1), _dot(2, 2), _dot(1, 1)


@njit(inline="always")
def _half(bits: Any) -> Any:
    """float16 bits as float32; exact, subnormals and infinities included."""
    magnitude = np.uint32(np.uint32(bits & np.uint16(0x7FFF)) << np.uint32(13))
    # the exponent is 112 too small for float32; the product is exact for normals and subnormals alike
    value = magnitude.view(np.float32) * np.float32(2.0**112)
    if magnitude >= np.uint32(0x7C00 << 13):
        value = np.uint32(magnitude | np.uint32(0x7F800000)).view(np.float32)
    return -value if bits & np.uint16(0x8000) else value


def _unpacker(width: int, quants: Callable[[Any, Any, Any], Any], floors: bool) -> Any:
    """An intrinsic (raw, at, at2, scale, floor, out, to): `width` weights, scale * q [- floor], into out[to:].

    `quants` emits the code that loads the quants q as a vector of int32 from two places; product and difference are
    rounded one by one, as numpy does.
    """
    floats = ir.VectorType(_FLOAT, width)

    @intrinsic
    def unpack(typingctx: Any, raw: Any, at: Any, at2: Any, scale: Any, floor: Any, out: Any, to: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            raw, at, at2, scale, floor, out, to = arguments
            source = _data(context, builder, signature.args[0], raw)
            target = _data(context, builder, signature.args[5], out)
            weights = builder.sitofp(quants(builder, builder.gep(source, [at]), builder.gep(source, [at2])), floats)
            weights = builder.fmul(weights, _splat(builder, scale, width))
            if floors:
                weights = builder.fsub(weights, _splat(builder, floor, width))
            store = builder.store(weights, _at(builder, target, to, floats))
            store.align = 4
            return context.get_dummy_value()

        index, real = types.int64, types.float32
        return types.void(raw, index, index, real, real, out, index), generate

    return unpack


def _bytes(builder: Any, pointer: Any, width: int, shift: int, mask: int) -> Any:
    """(byte >> shift) & mask of `width` bytes, as bytes."""
    vector = ir.VectorType(ir.IntType(8), width)
    loaded = _load(builder, builder.bitcast(pointer, vector.as_pointer()), 1)
    if shift:
        loaded = builder.lshr(loaded, ir.Constant(vector, [shift] * width))
    return builder.and_(loaded, ir.Constant(vector, [mask] * width))


def _nibbles(shift: int) -> Callable[[Any, Any, Any], Any]:
    """32 quants of Q4_K: the low or the high nibbles of 32 bytes."""
    wide = ir.VectorType(_I32, 32)
    return lambda builder, place, _: builder.zext(_bytes(builder, place, 32, shift, 15), wide)


def _sixes(quarter: int) -> Callable[[Any, Any, Any], Any]:
    """16 quants of Q6_K: nibbles of `ql` at the first place, pairs of bits of `qh` at the second, minus 32."""

    def quants(builder: Any, low: Any, high: Any) -> Any:
        vector, wide = ir.VectorType(ir.IntType(8), 16), ir.VectorType(_I32, 16)
        nibbles = _bytes(builder, low, 16, 4 * (quarter >> 1), 15)
        pairs = builder.shl(_bytes(builder, high, 16, 2 * quarter, 3), ir.Constant(vector, [4] * 16))
        return builder.sub(builder.zext(builder.or_(nibbles, pairs), wide), ir.Constant(wide, [32] * 16))

    return quants


def _signed(builder: Any, place: Any, _: Any) -> Any:
    """32 quants of Q8_0: signed bytes."""
    vector = ir.VectorType(ir.IntType(8), 32)
    return builder.sext(_load(builder, builder.bitcast(place, vector.as_pointer()), 1), ir.VectorType(_I32, 32))


_unpack_q4_low, _unpack_q4_high = _unpacker(32, _nibbles(0), True), _unpacker(32, _nibbles(4), True)
_unpack_q6_0, _unpack_q6_1 = _unpacker(16, _sixes(0), False), _unpacker(16, _sixes(1), False)
_unpack_q6_2, _unpack_q6_3 = _unpacker(16, _sixes(2), False), _unpacker(16, _sixes(3), False)
_unpack_q8 = _unpacker(32, _signed, False)
_NO_FLOOR = np.float32(0)


@njit(inline="always")
def _decode_q4_k(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 144 bytes at byte `at` -> 256 weights; layout in `engine.quant.q4_k`."""
    d, dmin = _half(_load_u16(raw, at)), _half(_load_u16(raw, at + 2))
    first, second, low = _load_u32(raw, at + 4), _load_u32(raw, at + 8), _load_u32(raw, at + 12)
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


@njit(inline="always")
def _decode_q6_k(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 210 bytes at byte `at` -> 256 weights; layout in `engine.quant.q6_k`."""
    d = _half(_load_u16(raw, at + 208))
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


@njit(inline="always")
def _decode_q8_0(raw: Any, at: Any, out: Any, to: Any) -> None:
    """One block of 34 bytes at byte `at` -> 32 weights; layout in `engine.quant.q8_0`."""
    _unpack_q8(raw, at + 2, 0, _half(_load_u16(raw, at)), _NO_FLOOR, out, to)


@_compiled()
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
    elif kind == F32:
        for i in range(columns):
            out[to + i] = _load_f32(raw, at + 4 * i)
    elif kind == F16:
        for i in range(columns):
            out[to + i] = _half(_load_u16(raw, at + 2 * i))
    elif kind == BF16:
        for i in range(columns):
            out[to + i] = np.uint32(np.uint32(_load_u16(raw, at + 2 * i)) << np.uint32(16)).view(np.float32)


@_compiled()
def matmul_rows(kind: int, raw: Any, row_bytes: int, x: Any, tokens: int, columns: int, out: Any, rows: Any) -> None:
    """Columns rows[0] : rows[1] of out (tokens, N), flat; see `matmul`."""
    total = out.size // tokens
    buffer = np.empty(ROWS_AT_ONCE * columns, np.float32)
    for start in range(rows[0], rows[1], ROWS_AT_ONCE):
        here = min(ROWS_AT_ONCE, rows[1] - start)
        for row in range(here):
            decode_row(kind, raw, (start + row) * row_bytes, columns, buffer, row * columns)
        token = 0
        if here == ROWS_AT_ONCE:
            while token + 1 < tokens:
                at, to = token * columns, token * total + start
                _dot_2x2(buffer, 0, columns, x, at, columns, columns, out, to, total)
                _dot_2x2(buffer, 2 * columns, columns, x, at, columns, columns, out, to + 2, total)
                token += 2
            if token < tokens:
                at, to = token * columns, token * total + start
                _dot_4x1(buffer, 0, columns, x, at, columns, columns, out, to, total)
        else:
            for token in range(tokens):
                for row in range(here):
                    to = token * total + start + row
                    _dot_1x1(buffer, row * columns, columns, x, token * columns, columns, columns, out, to, total)


@_compiled(parallel=True)
def matmul_parallel(
    kind: int, raw: Any, row_bytes: int, x: Any, tokens: int, columns: int, out: Any, parts: int
) -> None:
    """As `matmul_rows` over all rows, in `parts` ranges of whole `ROWS_AT_ONCE`."""
    total = out.size // tokens
    groups = (total + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
    for part in prange(parts):
        first = part * groups // parts * ROWS_AT_ONCE
        last = min(total, (part + 1) * groups // parts * ROWS_AT_ONCE)
        matmul_rows(kind, raw, row_bytes, x, tokens, columns, out, (first, last))


@_compiled()
def rms_norm(x: Any, weight: Any, eps: Any, out: Any) -> None:
    """Rows of x (T, D) divided by their root mean square, times weight (D,)."""
    tokens, size = x.shape
    square = np.empty(1, np.float32)
    flat = x.reshape(tokens * size)
    for token in range(tokens):
        _dot_1x1(flat, token * size, 0, flat, token * size, 0, size, square, 0, 0)
        root = np.sqrt(square[0] / np.float32(size) + eps)
        for i in range(size):
            out[token, i] = x[token, i] / root * weight[i]


@_compiled()
def rope(x: Any, positions: Any, frequencies: Any, out: Any) -> None:
    """Pairs (i, i + Dh/2) of x (T, H, Dh) turned by position * frequencies[i]; angles in float64."""
    tokens, heads, _ = x.shape
    half = frequencies.size
    cos, sin = np.empty(half, np.float32), np.empty(half, np.float32)
    for token in range(tokens):
        for i in range(half):
            angle = np.float64(positions[token]) * frequencies[i]
            cos[i], sin[i] = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        for head in range(heads):
            for i in range(half):
                first, second = x[token, head, i], x[token, head, half + i]
                out[token, head, i] = first * cos[i] - second * sin[i]
                out[token, head, half + i] = second * cos[i] + first * sin[i]


@intrinsic
def _add_scaled(typingctx: Any, a: Any, start: Any, scale: Any, out: Any, count: Any) -> Any:
    """out[i] = fma(scale, a[start + i], out[i]) for i < count."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, start, scale, out, count = arguments
        a_data = _data(context, builder, signature.args[0], a)
        out_data = _data(context, builder, signature.args[3], out)
        whole = builder.and_(count, ir.Constant(_INDEX, -LANES))
        wide = _splat(builder, scale, LANES)
        for first, last, step, element, factor in (
            (ir.Constant(_INDEX, 0), whole, LANES, _VECTOR, wide),
            (whole, count, 1, _FLOAT, scale),
        ):
            with cgutils.for_range_slice(builder, first, last, ir.Constant(_INDEX, step), _INDEX) as (i, _):
                source = _load(builder, _at(builder, a_data, builder.add(start, i), element), 4)
                place = _at(builder, out_data, i, element)
                store = builder.store(_fma(builder, factor, source, _load(builder, place, 4)), place)
                store.align = 4
        return context.get_dummy_value()

    return types.void(a, types.int64, types.float32, out, types.int64), generate


@_compiled()
def attention_heads(q: Any, k: Any, v: Any, positions: Any, scale: Any, out: Any, pairs: Any) -> None:
    """Pairs (token, head) number pairs[0] : pairs[1] of causal attention; shapes as in `engine.ops.reference`.

    k and v are flat (S * Hkv * Dh,); the sums over slots run in order of the slots.
    """
    _, heads, size = q.shape
    kv_heads = k.shape[1]
    k_flat, v_flat, q_flat = k.reshape(k.size), v.reshape(v.size), q.reshape(q.size)
    scores, mixed = np.empty(k.shape[0], np.float32), np.empty(size, np.float32)
    stride = kv_heads * size
    for pair in range(pairs[0], pairs[1]):
        token, head = pair // heads, pair % heads
        group = head // (heads // kv_heads)
        slots = positions[token] + 1
        for slot in range(0, slots - 3, 4):
            _dot_4x1(k_flat, slot * stride + group * size, stride, q_flat, pair * size, 0, size, scores, slot, 0)
        for slot in range(slots - slots % 4, slots):
            _dot_1x1(k_flat, slot * stride + group * size, 0, q_flat, pair * size, 0, size, scores, slot, 0)
        largest = np.float32(-np.inf)
        for slot in range(slots):
            scores[slot] *= scale
            largest = max(largest, scores[slot])
        total = np.float32(0)
        for slot in range(slots):
            scores[slot] = np.exp(scores[slot] - largest)
            total += scores[slot]
        mixed[:] = 0
        for slot in range(slots):
            _add_scaled(v_flat, slot * stride + group * size, scores[slot], mixed, size)
        for i in range(size):
            out[token, head, i] = mixed[i] / total


@_compiled(parallel=True)
def attention_parallel(q: Any, k: Any, v: Any, positions: Any, scale: Any, out: Any, parts: int) -> None:
    """As `attention_heads` over all pairs, in `parts` interleaved ranges: later tokens see more slots."""
    count = q.shape[0] * q.shape[1]
    step = (count + parts * 4 - 1) // (parts * 4)
    for part in prange(parts * 4):
        attention_heads(q, k, v, positions, scale, out, (min(count, part * step), min(count, (part + 1) * step)))
