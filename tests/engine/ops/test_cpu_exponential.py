"""The exponential that attention and SiLU share, against that of float64."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.ops.cpu.kernels.exponential import exponential
from engine.ops.cpu.kernels.llvm import FLOAT, I8, I64, load


@intrinsic
def exponentials(typingctx, source, count, target):
    def generate(context, builder, signature, arguments):
        kind = ir.VectorType(FLOAT, 8)
        source, count, target = arguments
        first, step = ir.Constant(I64, 0), ir.Constant(I64, 8)
        with cgutils.for_range_slice(builder, first, count, step, I64) as (index, _):
            offset = builder.mul(index, ir.Constant(I64, 4))
            places = [builder.gep(builder.inttoptr(at, I8.as_pointer()), [offset]) for at in (source, target)]
            value = exponential(builder, load(builder, places[0], kind, 4))
            builder.store(value, builder.bitcast(places[1], kind.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def exponentials_of(x: np.ndarray) -> np.ndarray:
    def run(source, count, target):
        exponentials(source, count, target)

    out = np.empty_like(x)
    njit(run)(x.ctypes.data, x.size, out.ctypes.data)
    return out


def test_within_two_units_in_the_last_place() -> None:
    """A million numbers from -87 to 88, the ends among them; the result is a normal number everywhere."""
    x = np.linspace(-87, 88, 1 << 20, dtype=np.float32)
    found, expected = exponentials_of(x), np.exp(x.astype(np.float64))
    units = np.spacing(expected.astype(np.float32)).astype(np.float64)
    assert (np.abs(found - expected) / units).max() <= 2


def test_at_the_ends() -> None:
    x = np.array([0, -0.0, -np.inf, -1e30, -88, 88, 1e30, np.nan], np.float32)
    found = exponentials_of(x)
    assert found[:5].tolist() == [1, 1, 0, 0, 0]
    assert found[5] == found[6]
    assert np.isnan(found[7])
