"""The CPU's precisions by name.

f32    activations as they are; the default, and what every other one is compared with
q16    16-bit activations, about 3e-5 of the result's rms
q8     8-bit activations, about 7e-3 of the result's rms; the fastest
"""

from __future__ import annotations

from typing import cast

from engine.errors import BackendError
from engine.ops import cpu
from engine.ops.cpu.integer import PLANES, IntegerOps
from engine.ops.cpu.isa import cores
from engine.ops.protocol import Ops

PRECISIONS = ("f32", *sorted(PLANES))


def ops_for(precision: str = "f32", threads: int | None = None) -> Ops:
    """Operations of one precision; for q8 and q16 a new object, which keeps the weights of one model.

    Args:
        threads: default one per core; with f32 it counts for every model of the process.

    Raises:
        BackendError: no such precision, fewer threads than 1, or more than this process may use.
    """
    if precision not in PRECISIONS:
        raise BackendError(f"precision {precision!r} is not in this version; available: {', '.join(PRECISIONS)}")
    most = cores()
    if threads is not None and not 1 <= threads <= most:
        raise BackendError(f"threads is {threads}, must be in 1..{most}, the cores that this process may use")
    if precision == "f32":
        if threads is not None:
            cpu.set_threads(threads)
        return cast("Ops", cpu)
    return IntegerOps(precision, threads)
