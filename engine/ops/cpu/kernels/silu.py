"""SiLU of one array times another, in vectors: numpy's three passes become one.

    out = gate / (1 + exp(-gate)) * up

The exponential of 88 and more is that of 88: gate / (1 + e^88) is 0 to every float32 gate above -1e30.
"""

# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - numba reads the signature of an intrinsic from parameters that only its types use

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.kernels.exponential import exponential, floats
from engine.ops.cpu.kernels.llvm import FLOAT, I8, I64, load

LANES = 16


def _silu(builder: Any, gate: Any, up: Any, lanes: int) -> Any:
    below = builder.fadd(floats(1.0, lanes), exponential(builder, builder.fneg(gate)))
    return builder.fmul(builder.fdiv(gate, below), up)


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
