"""Compiled loops of the CPU backend: dot products of float32, norms, rotations.

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
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.kernels.compile import inlined
from engine.ops.cpu.kernels.decode import decode_row
from engine.ops.cpu.kernels.llvm import at, data_pointer, load_value

LANES = 16
ROWS_AT_ONCE = 4
"""Rows decoded before their dot products: enough independent sums to hide the latency of fused multiply-add."""

_FLOAT = ir.FloatType()
_I32 = ir.IntType(32)
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


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
        a_data = data_pointer(context, builder, signature.args[0], a)
        b_data = data_pointer(context, builder, signature.args[3], b)
        out_data = data_pointer(context, builder, signature.args[7], out)

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
            left = [load_value(builder, at(builder, a_data, builder.add(s, k), element), 4) for s in a_starts]
            right = [load_value(builder, at(builder, b_data, builder.add(s, k), element), 4) for s in b_starts]
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


@inlined
def matmul_rows(
    kind: int, raw: Any, row_bytes: int, x: Any, tokens: int, columns: int, out: Any, rows: Any, buffer: Any
) -> None:
    """Columns rows[0] : rows[1] of out (tokens, N), flat; the buffer has room for ROWS_AT_ONCE rows."""
    total = out.size // tokens
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


@inlined
def rms_norm(x: Any, tokens: int, weight: Any, eps: Any, out: Any) -> None:
    """Rows of x (T, D), flat, divided by their root mean square, times weight (D,)."""
    size = weight.size
    for token in range(tokens):
        start = token * size
        # the sum of squares stands where the first result will
        _dot_1x1(x, start, 0, x, start, 0, size, out, start, 0)
        root = np.sqrt(out[start] / np.float32(size) + eps)
        for i in range(size):
            out[start + i] = x[start + i] / root * weight[i]


@inlined
def angles(positions: Any, frequencies: Any, magnitude: float, out: Any) -> None:
    """Cosine, out[t, 0, i], and sine, out[t, 1, i], of position t * frequencies[i], times magnitude; in float64."""
    for token in range(positions.size):
        for i in range(frequencies.size):
            angle = np.float64(positions[token]) * frequencies[i]
            out[token, 0, i] = np.float32(math.cos(angle) * magnitude)
            out[token, 1, i] = np.float32(math.sin(angle) * magnitude)


@inlined
def turn(x: Any, table: Any, adjacent: bool, out: Any) -> None:
    """Pairs of x (T, H, Dh) turned by the cosines and sines of table (T, 2, Dh/2).

    Pairs are (i, i + Dh/2), or (2i, 2i + 1) where they are `adjacent`.
    """
    tokens, heads, size = x.shape
    half = size // 2
    for token in range(tokens):
        cos, sin = table[token, 0], table[token, 1]
        for head in range(heads):
            source, target = x[token, head], out[token, head]
            for i in range(half):
                one, other = (2 * i, 2 * i + 1) if adjacent else (i, half + i)
                first, second = source[one], source[other]
                target[one] = first * cos[i] - second * sin[i]
                target[other] = second * cos[i] + first * sin[i]
