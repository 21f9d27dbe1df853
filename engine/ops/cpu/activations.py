"""Activations as signed bytes: one plane (q8) or two (q16), with the sums that the types of weights ask for.

Per block of columns (as long as the weight's block):

    d       = max |x| / R           R = 127 (q8), 127 * 254 + 126 = 32384 (q16)
    x / d  ~= a                     q8, a in -127..127
    x / d  ~= 254 * a + b           q16, a and b in -127..127

    values   int8     (T, planes, K)
    scales   float32  (T, K / block)           d
    sums     Q4_K, Q5_K    int8   (T, planes + 1, K / 32)    digits, base 128, of the sum of 32 quantised activations
             Q6_K          int32  (T, planes, K / 16)        -32 times the sum of 16, per plane
             Q5_0, Q8_0    int32  (T, planes, K / 32)        -16 (-128) times the sum of 32, per plane

A block with an infinite or NaN activation has d = NaN, so that the result says it. Rounding is to nearest, ties to
even. The largest error of an activation is d / 2: max |x| / 254 of its block (q8), max |x| / 64768 (q16).
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray

from engine.ops.cpu.compiled import callback, compiled
from engine.ops.cpu.llvm import floats_at, ints_at, signed_at
from engine.ops.cpu.runner import JOB, Runner, addresses, parts_of_tokens
from engine.ops.protocol import F32

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]

R8 = 127.0
R16 = 127.0 * 254.0 + 126.0
_PER_254 = np.float32(1.0 / 254.0)


def quantise(runner: Runner, x: F32, planes: int, block: int, values: I8, scales: F32) -> None:
    """Fill `values` and `scales` (flat) from x (T, K), contiguous."""
    parts = parts_of_tokens(runner, *x.shape)
    words = np.array([*addresses(x, values, scales), *x.shape, planes, block, parts], np.int64)
    runner.run(_quantise_job().address, words, parts, reads=(x,), makes=(values, scales))


def offsets(runner: Runner, values: I8, rows: int, columns: int, part: int, factor: int, sums: I32) -> None:
    """sums[row, j] = factor * (sum of part j of a row of values); values (rows, K) and sums flat."""
    parts = parts_of_tokens(runner, rows, columns)
    words = np.array([*addresses(values, sums), rows, columns, part, factor, parts], np.int64)
    runner.run(_offsets_job().address, words, parts, reads=(values,), makes=(sums,))


def digits(runner: Runner, values: I8, tokens: int, planes: int, columns: int, sums: I8) -> None:
    """Digits in base 128, highest first, of the sums of 32 quantised activations; sums int8 (T, planes + 1, K/32)."""
    parts = parts_of_tokens(runner, tokens, columns)
    words = np.array([*addresses(values, sums), tokens, planes, columns, parts], np.int64)
    runner.run(_digits_job().address, words, parts, reads=(values,), makes=(sums,))


@functools.cache
def _quantise_job() -> Any:
    """Words: x, values, scales, T, K, planes, block, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        x_at, values_at, scales_at, tokens, columns, planes, block, parts = carray(words, 8)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        here, blocks = last - first, columns // block
        _quantise(
            carray(floats_at(x_at + 4 * first * columns), (here, columns)),
            planes,
            block,
            carray(signed_at(values_at + first * planes * columns), (here * planes * columns,)),
            carray(floats_at(scales_at + 4 * first * blocks), (here * blocks,)),
        )

    return run


@functools.cache
def _offsets_job() -> Any:
    """Words: values, sums, rows, K, part, factor, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        values_at, sums_at, rows, columns, length, factor, parts = carray(words, 7)
        first, last = part * rows // parts, (part + 1) * rows // parts
        here, each = last - first, columns // length
        values = carray(signed_at(values_at + first * columns), (here * columns,))
        _offsets(values, here, columns, length, factor, carray(ints_at(sums_at + 4 * first * each), (here * each,)))

    return run


@functools.cache
def _digits_job() -> Any:
    """Words: values, sums, T, planes, K, parts."""

    @callback(JOB)
    def run(words: Any, part: Any) -> None:
        values_at, sums_at, tokens, planes, columns, parts = carray(words, 6)
        first, last = part * tokens // parts, (part + 1) * tokens // parts
        here, sums_of = last - first, (planes + 1) * (columns // 32)
        values = carray(signed_at(values_at + first * planes * columns), (here * planes * columns,))
        _digits(values, here, planes, columns, carray(signed_at(sums_at + first * sums_of), (here * sums_of,)))

    return run


@compiled()
def _quantise(x: Any, planes: int, block: int, values: Any, scales: Any) -> None:
    tokens, columns = x.shape
    blocks = columns // block
    reach = np.float32(R8) if planes == 1 else np.float32(R16)
    flat = x.reshape(tokens * columns)
    bits = flat.view(np.uint32)
    for token in range(tokens):
        for number in range(blocks):
            start = token * columns + number * block
            to = token * planes * columns + number * block
            # slices, because LLVM makes vectors only of loops whose indices cannot be negative
            here, words = flat[start : start + block], bits[start : start + block]
            largest = np.uint32(0)
            for i in range(block):
                largest = max(largest, words[i] & np.uint32(0x7FFFFFFF))
            finite = largest < np.uint32(0x7F800000)
            # below 2^-120 the inverse would overflow; such a block is 0
            usable = finite and largest >= np.uint32(7 << 23)
            size = np.float32(0)
            if usable:
                size = np.uint32(largest).view(np.float32)
            inverse = reach / size if usable else np.float32(0)
            scales[token * blocks + number] = size / reach if finite else np.float32(np.nan)
            high = values[to : to + block]
            if planes == 1:
                if usable:
                    for i in range(block):
                        high[i] = np.int8(np.int32(np.rint(here[i] * inverse)))
                else:
                    high[:] = 0
            else:
                low = values[to + columns : to + columns + block]
                if usable:
                    for i in range(block):
                        whole = np.int32(np.rint(here[i] * inverse))
                        # floor of (whole + 127) / 254; the half keeps every quotient 0.002 away from a whole number
                        quotient = np.int32(np.floor((np.float32(whole) + np.float32(127.5)) * _PER_254))
                        high[i] = np.int8(quotient)
                        low[i] = np.int8(whole - np.int32(254) * quotient)
                else:
                    high[:] = 0
                    low[:] = 0


@compiled()
def _offsets(values: Any, rows: int, columns: int, part: int, factor: int, sums: Any) -> None:
    parts = columns // part
    for row in range(rows):
        for j in range(parts):
            total = np.int32(0)
            here = values[row * columns + j * part : row * columns + (j + 1) * part]
            for i in range(part):
                total += np.int32(here[i])
            sums[row * parts + j] = np.int32(factor) * total


@compiled()
def _digits(values: Any, tokens: int, planes: int, columns: int, sums: Any) -> None:
    parts = columns // 32
    for token in range(tokens):
        for j in range(parts):
            start = token * planes * columns + j * 32
            total = np.int32(0)
            high = values[start : start + 32]
            for i in range(32):
                total += np.int32(high[i])
            if planes == 2:
                total *= np.int32(254)
                low = values[start + columns : start + columns + 32]
                for i in range(32):
                    total += np.int32(low[i])
            for plane in range(planes, -1, -1):
                digit = ((total + np.int32(64)) & np.int32(127)) - np.int32(64)
                if plane == 0:
                    digit = total
                sums[(token * (planes + 1) + plane) * parts + j] = np.int8(digit)
                total = (total - digit) >> np.int32(7)
