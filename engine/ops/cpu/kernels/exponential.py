"""exp of float32 vectors, as LLVM code.

    exp(x) = 2^n * p(r)    x = n ln 2 + r, |r| <= ln(2) / 2

Within 2 units in the last place for x in -87..88. Smaller ones are held at -88, which gives 0 exactly, larger ones at
88; NaN stays NaN.

Source: the polynomial of expf in the Cephes library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from engine.ops.cpu.kernels.llvm import FLOAT, I32, constant, fma

_LOG2_E = 1.44269502162933349609375
# ln 2 in two parts: the first has 9 bits, so that its products with whole numbers up to 127 are exact.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
# (exp(r) - 1 - r) / r^2, highest power first.
_POLYNOMIAL = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
# 1.5 * 2^23: a sum with it is rounded to a whole number, which its lowest bits then hold.
_ROUNDER = 12582912.0
_LIMIT = 88.0


def floats(value: float, lanes: int) -> Any:
    """A constant in all lanes, rounded to float32: LLVM refuses others."""
    return ir.Constant(ir.VectorType(FLOAT, lanes), [float(np.float32(value))] * lanes)


def exponential(builder: Any, x: Any) -> Any:
    """exp of each lane."""
    lanes = x.type.count
    low, high = floats(-_LIMIT, lanes), floats(_LIMIT, lanes)
    # a comparison with NaN is false, so that these take x
    x = builder.select(builder.fcmp_ordered(">", low, x), low, x)
    x = builder.select(builder.fcmp_ordered("<", high, x), high, x)
    rounded = builder.fadd(builder.fmul(x, floats(_LOG2_E, lanes)), floats(_ROUNDER, lanes))
    whole = builder.fsub(rounded, floats(_ROUNDER, lanes))
    r = fma(builder, whole, floats(-_LN2_HIGH, lanes), x)
    r = fma(builder, whole, floats(-_LN2_LOW, lanes), r)
    p = floats(_POLYNOMIAL[0], lanes)
    for coefficient in _POLYNOMIAL[1:]:
        p = fma(builder, p, r, floats(coefficient, lanes))
    p = builder.fadd(fma(builder, builder.fmul(r, r), p, r), floats(1.0, lanes))
    number = builder.bitcast(rounded, ir.VectorType(I32, lanes))
    power = builder.shl(builder.add(number, constant(127, lanes)), constant(23, lanes))
    return builder.fmul(p, builder.bitcast(power, x.type))
