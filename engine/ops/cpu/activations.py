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

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.ops.cpu.machine_code import kernel
from engine.ops.cpu.runner import Runner, addresses, parts_of_tokens
from engine.ops.protocol import F32

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]


def quantise(runner: Runner, x: F32, planes: int, block: int, values: I8, scales: F32) -> None:
    """Fill `values` and `scales` (flat) from x (T, K), contiguous."""
    parts = parts_of_tokens(runner, *x.shape)
    words = np.array([*addresses(x, values, scales), *x.shape, planes, block, parts], np.int64)
    runner.run(kernel("quantise"), words, parts, reads=(x,), makes=(values, scales))


def offsets(runner: Runner, values: I8, rows: int, columns: int, part: int, factor: int, sums: I32) -> None:
    """sums[row, j] = factor * (sum of part j of a row of values); values (rows, K) and sums flat."""
    parts = parts_of_tokens(runner, rows, columns)
    words = np.array([*addresses(values, sums), rows, columns, part, factor, parts], np.int64)
    runner.run(kernel("offsets"), words, parts, reads=(values,), makes=(sums,))


def digits(runner: Runner, values: I8, tokens: int, planes: int, columns: int, sums: I8) -> None:
    """Digits in base 128, highest first, of the sums of 32 quantised activations; sums int8 (T, planes + 1, K/32)."""
    parts = parts_of_tokens(runner, tokens, columns)
    words = np.array([*addresses(values, sums), tokens, planes, columns, parts], np.int64)
    runner.run(kernel("digits"), words, parts, reads=(values,), makes=(sums,))
