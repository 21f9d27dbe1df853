"""SiLU of one array times another, in vectors: numpy's three passes become one.

    out = gate / (1 + exp(-gate)) * up

exp is 2^n * p(r) with x = n ln 2 + r, |r| <= ln(2) / 2, within 2 units in the last place. -gate is held in -88..88:
there exp neither overflows nor vanishes, and gate / (1 + e^88) is 0 to every float32 gate above -1e30.

Source: the polynomial of expf in the Cephes library.
"""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.llvm import FLOAT, I8, I32, I64, call, constant, fma, load

LANES = 16

_LOG2_E = 1.44269502162933349609375
# ln 2 in two parts: the first has 9 bits, so that its products with whole numbers up to 127 are exact.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
# (exp(r) - 1 - r) / r^2, highest power first.
_POLYNOMIAL = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)


def _floats(value: float, lanes: int) -> Any:
    """A constant in all lanes, rounded to float32: LLVM refuses others."""
    return ir.Constant(ir.VectorType(FLOAT, lanes), [float(np.float32(value))] * lanes)


def _silu(builder: Any, gate: Any, up: Any, lanes: int) -> Any:
    kind, wide = ir.VectorType(FLOAT, lanes), ir.VectorType(I32, lanes)

    def largest(a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    x = largest(builder.fneg(gate), _floats(-88.0, lanes))
    x = builder.fneg(largest(builder.fneg(x), _floats(-88.0, lanes)))
    whole = call(builder, f"llvm.rint.v{lanes}f32", kind, [builder.fmul(x, _floats(_LOG2_E, lanes))])
    r = fma(builder, whole, _floats(-_LN2_HIGH, lanes), x)
    r = fma(builder, whole, _floats(-_LN2_LOW, lanes), r)
    p = _floats(_POLYNOMIAL[0], lanes)
    for coefficient in _POLYNOMIAL[1:]:
        p = fma(builder, p, r, _floats(coefficient, lanes))
    one = _floats(1.0, lanes)
    p = builder.fadd(fma(builder, builder.fmul(r, r), p, r), one)
    exponent = builder.shl(builder.add(builder.fptosi(whole, wide), constant(127, lanes)), constant(23, lanes))
    exponential = builder.fmul(p, builder.bitcast(exponent, kind))
    return builder.fmul(builder.fdiv(gate, builder.fadd(one, exponential)), up)


@intrinsic
def silu_times(typingctx: Any, gate: Any, up: Any, out: Any, count: Any) -> Any:
    """`count` floats at the addresses gate and up, to the address out."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *addresses, count = arguments
        places = [builder.inttoptr(address, I8.as_pointer()) for address in addresses]
        zero, four = ir.Constant(I64, 0), ir.Constant(I64, 4)
        whole = builder.and_(count, ir.Constant(I64, -LANES))
        for first, last, lanes in ((zero, whole, LANES), (whole, count, 1)):
            kind = ir.VectorType(FLOAT, lanes)
            with cgutils.for_range_slice(builder, first, last, ir.Constant(I64, lanes), I64) as (index, _):
                gate_at, up_at, out_at = (builder.gep(place, [builder.mul(index, four)]) for place in places)
                value = _silu(builder, load(builder, gate_at, kind, 4), load(builder, up_at, kind, 4), lanes)
                builder.store(value, builder.bitcast(out_at, kind.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate
