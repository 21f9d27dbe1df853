"""Activations to signed bytes and their sums: jobs; what they fill is said in `engine.ops.cpu.activations`."""

from __future__ import annotations

import numpy as np
from numba import carray

from engine.ops.cpu.kernels.llvm import dwords_at, floats_at, integers_at, ints_at, signed_at
from engine.ops.cpu.kernels.products import Job

R8 = 127.0
R16 = 127.0 * 254.0 + 126.0
_PER_254 = np.float32(1.0 / 254.0)

# Arrays that start where a loop does: LLVM makes vectors only of loops whose indices cannot be negative.


def quantise() -> Job:
    """Words: x, values, scales, T, K, planes, block, parts."""

    def run(words: int, part: int) -> None:
        x_at, values_at, scales_at, tokens, columns, planes, block, parts = carray(integers_at(words), 8)
        blocks = columns // block
        reach = np.float32(R8) if planes == 1 else np.float32(R16)
        for token in range(part * tokens // parts, (part + 1) * tokens // parts):
            scales = carray(floats_at(scales_at + 4 * token * blocks), (blocks,))
            for number in range(blocks):
                start = 4 * (token * columns + number * block)
                x, bits = carray(floats_at(x_at + start), (block,)), carray(dwords_at(x_at + start), (block,))
                to = values_at + token * planes * columns + number * block
                high = carray(signed_at(to), (block,))
                largest = np.uint32(0)
                for i in range(block):
                    largest = max(largest, bits[i] & np.uint32(0x7FFFFFFF))
                finite = largest < np.uint32(0x7F800000)
                # below 2^-120 the inverse would overflow; such a block is 0
                usable = finite and largest >= np.uint32(7 << 23)
                size = np.float32(0)
                if usable:
                    size = np.uint32(largest).view(np.float32)
                inverse = reach / size if usable else np.float32(0)
                scales[number] = size / reach if finite else np.float32(np.nan)
                if planes == 1:
                    if usable:
                        for i in range(block):
                            high[i] = np.int8(np.int32(np.rint(x[i] * inverse)))
                    else:
                        high[:] = 0
                else:
                    low = carray(signed_at(to + columns), (block,))
                    if usable:
                        for i in range(block):
                            whole = np.int32(np.rint(x[i] * inverse))
                            # floor of (whole + 127) / 254; the half keeps every quotient 0.002 away from a whole number
                            quotient = np.int32(np.floor((np.float32(whole) + np.float32(127.5)) * _PER_254))
                            high[i] = np.int8(quotient)
                            low[i] = np.int8(whole - np.int32(254) * quotient)
                    else:
                        high[:] = 0
                        low[:] = 0

    return run


def offsets() -> Job:
    """Words: values, sums, rows, K, length, factor, parts."""

    def run(words: int, part: int) -> None:
        values_at, sums_at, rows, columns, length, factor, parts = carray(integers_at(words), 7)
        each = columns // length
        for row in range(part * rows // parts, (part + 1) * rows // parts):
            sums = carray(ints_at(sums_at + 4 * row * each), (each,))
            for j in range(each):
                values = carray(signed_at(values_at + row * columns + j * length), (length,))
                total = np.int32(0)
                for i in range(length):
                    total += np.int32(values[i])
                sums[j] = np.int32(factor) * total

    return run


def digits() -> Job:
    """Words: values, sums, T, planes, K, parts."""

    def run(words: int, part: int) -> None:
        values_at, sums_at, tokens, planes, columns, parts = carray(integers_at(words), 6)
        each = columns // 32
        for token in range(part * tokens // parts, (part + 1) * tokens // parts):
            sums = carray(signed_at(sums_at + token * (planes + 1) * each), ((planes + 1) * each,))
            for j in range(each):
                at = values_at + token * planes * columns + 32 * j
                total = np.int32(0)
                high = carray(signed_at(at), (32,))
                for i in range(32):
                    total += np.int32(high[i])
                if planes == 2:
                    total *= np.int32(254)
                    low = carray(signed_at(at + columns), (32,))
                    for i in range(32):
                        total += np.int32(low[i])
                for plane in range(planes, -1, -1):
                    digit = ((total + np.int32(64)) & np.int32(127)) - np.int32(64)
                    if plane == 0:
                        digit = total
                    sums[plane * each + j] = np.int8(digit)
                    total = (total - digit) >> np.int32(7)

    return run
