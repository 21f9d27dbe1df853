"""Programmatic dependent launch: a kernel begins while the one before it still runs, and waits before it reads results.

    release_next         from here on in every program, the next kernel may begin
    wait_for_previous    until all kernels before have ended and what they wrote can be seen

A kernel takes part by a flag DEPENDENT and by calling both, each once in every program. Before the wait it may read
what no kernel writes while a model runs: weights, norm weights, tables of angles. It writes nothing, because another
kernel may still read the memory. As every program waits, the end of a kernel is the end of all before it, also of those
that the one after it did not wait for by itself.

Only from sm_90 on; where DEPENDENT is false, nothing of it is compiled. A kernel without the flag begins after the end
of the one before, as always.
Source: PTX ISA, griddepcontrol; CUDA C++ Programming Guide, programmatic dependent launch and synchronization.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def release_next(DEPENDENT: tl.constexpr) -> None:
    """At the start: programs of the next kernel take the room that this one leaves, and wait there."""
    if DEPENDENT:
        tl.extra.cuda.gdc_launch_dependents()


@triton.jit
def wait_for_previous(DEPENDENT: tl.constexpr) -> None:
    """Behind the loads of weights, before all else."""
    if DEPENDENT:
        tl.extra.cuda.gdc_wait()
