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

from typing import Any

import numpy as np

from engine.ops.cpu.compiled import compiled

R8 = 127.0
R16 = 127.0 * 254.0 + 126.0
_PER_254 = np.float32(1.0 / 254.0)


@compiled()
def quantise(x: Any, planes: int, block: int, values: Any, scales: Any) -> None:
    """Fill `values` and `scales` (flat) from x (T, K)."""
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
def offsets(values: Any, rows: int, columns: int, part: int, factor: int, sums: Any) -> None:
    """sums[row, j] = factor * (sum of part j of a row of values); values (rows, K) flat, sums int32 flat."""
    parts = columns // part
    for row in range(rows):
        for j in range(parts):
            total = np.int32(0)
            here = values[row * columns + j * part : row * columns + (j + 1) * part]
            for i in range(part):
                total += np.int32(here[i])
            sums[row * parts + j] = np.int32(factor) * total


@compiled()
def digits(values: Any, tokens: int, planes: int, columns: int, sums: Any) -> None:
    """Digits in base 128, highest first, of the sums of 32 quantised activations; sums int8 (T, planes + 1, K/32)."""
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
