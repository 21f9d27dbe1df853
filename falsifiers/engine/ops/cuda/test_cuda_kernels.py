"""Attempts to refute contracts/engine/ops/cuda/cuda-kernels-v2.yaml."""

from __future__ import annotations

import pytest

from falsifiers.support import cuda, cuda_edges, limits
from falsifiers.support.recorder import Recorder


@pytest.mark.falsifies("FALSIFY-CUDA-KERNELS-001")
def test_every_kernel_keeps_to_its_edges(pv: Recorder) -> None:
    """Refuted by a kernel without a row in `cuda_edges`, by one that is not launched at its sizes or is at length 0,
    and by one whose error is beyond its claim: at odd sizes, at length 1, with tails, memory poisoned.

    Seen failing under row_forgotten, last_program_not_started and launched_for_nothing.
    """
    cuda.needs_run(pv)
    launch = cuda.module("launch")
    without = cuda.kernels() ^ cuda_edges.ROWS.keys()
    found: dict[str, float] = {}
    idle: list[str] = []
    busy: list[str] = []
    with cuda.recorded(pv), cuda_edges.poisoned():
        for name, row in cuda_edges.ROWS.items():
            for case, size in row.sizes().items():
                before = launch.counts()
                found[f"{name}, {case}"] = row.measure(*size)
                idle += [f"{name}, {case}"] * (name not in launch.since(before))
            for size in row.zero:
                before = launch.counts()
                found[f"{name}, nothing {size}"] = row.measure(*size)
                busy += [f"{name} {size}"] * (name in launch.since(before))
    pv.record("kernels without a row, and rows without a kernel", len(without), limit=0, unit="kernels")
    pv.record("cases in which a kernel was not launched", len(idle), limit=0, unit="cases")
    pv.record("lengths 0 at which one was", len(busy), limit=0, unit="cases")
    for name, row in cuda_edges.ROWS.items():
        for case in row.sizes():
            _judge(pv, row, f"{name}, {case}", found[f"{name}, {case}"])
    pv.record("cases", len(found), limit=4 * len(cuda_edges.ROWS), unit="cases", bound="at_least")


def _judge(pv: Recorder, row: cuda_edges.Row, name: str, error: float) -> None:
    if row.claim:
        limits.record(pv, row.claim, name, error)
    else:
        pv.record(name, error, limit=0, unit="elements")
