"""Attempts to refute contracts/engine/ops/cuda/cuda-machine-v1.yaml: what the compiler makes of the kernels."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from typing import Any

import pytest

from engine.gguf.types import GgmlType
from falsifiers.support import cuda
from falsifiers.support.recorder import Recorder

GENERATIONS = (80, 90)
# What a thread may hold, and what a block of threads may share on each generation (CUDA C++ Programming Guide).
MAX_REGISTERS = 255
SHARED_LIMIT = {80: 163 << 10, 90: 227 << 10}
BUDGET = {"q4_k_matvec": 2.0, "q6_k_matvec": 2.3, "q8_0_matvec": 1.5}
"""Thread instructions per weight in the main loop, at most."""
WIDE = {"q4_k_matvec": 6, "q6_k_matvec": 6, "q8_0_matvec": 4}
"""Loads of 16 bytes in the main loop, at least."""


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-001")
@pytest.mark.parametrize("sm", GENERATIONS)
def test_products_fit_and_stay_within_their_budget(pv: Recorder, sm: int) -> None:
    """Refuted by a product of Qwen2.5-7B's or the teacher's shapes that does not compile, uses the stack or too much
    shared memory, loads narrowly or needs more instructions per weight than declared.

    Seen failing under alignment_not_promised, products_by_shifts and one_warp_for_all.
    """
    _needs_compiler(pv)
    gate = cuda.module("gate")
    found = []
    for shapes, kinds, tokens in (
        (gate.QWEN_7B, (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0), (1, 512)),
        (gate.TEACHER, (GgmlType.Q4_K, GgmlType.Q6_K), (1,)),
    ):
        found += gate.compile_products(shapes, kinds, tokens, sm)
    _ran_on(pv, sm, found)
    _fits(pv, sm, found)
    for name in sorted(BUDGET):
        mine = [entry for entry in found if entry.machine.name == name and entry.per_weight is not None]
        assert mine, f"no {name} with a loop was compiled"
        pv.record(f"{name}: instructions per weight", max(entry.per_weight for entry in mine), limit=BUDGET[name])
        loads = min(entry.machine.wide_loads for entry in mine)
        pv.record(f"{name}: 16-byte loads in the loop", loads, limit=WIDE[name], unit="loads", bound="at_least")
        dp4a = min(entry.machine.count("IDP") for entry in mine)
        pv.record(f"{name}: dp4a in the loop", dp4a, limit=1, unit="instructions", bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-002")
@pytest.mark.parametrize("sm", GENERATIONS)
def test_the_rest_of_a_layer_fits(pv: Recorder, sm: int) -> None:
    """Refuted by another kernel of a layer that does not compile, uses the stack or too much shared memory.

    Seen failing under a_tile_too_large, which leaves attention in prefill without enough registers.
    """
    _needs_compiler(pv)
    gate = cuda.module("gate")
    found = gate.compile_layers(gate.QWEN_7B, sm) + gate.compile_layers(gate.TEACHER, sm, tokens=(1, 40))
    _ran_on(pv, sm, found)
    _fits(pv, sm, found)


def _needs_compiler(pv: Recorder) -> None:
    if pv.target != "cuda-compiled":
        pytest.skip("looks at machine code; runs where kernels are compiled and not interpreted")


def _ran_on(pv: Recorder, sm: int, found: list[Any]) -> None:
    """Nothing was launched: the compiler ran."""
    compiled = dict(sorted(Counter(entry.machine.name for entry in found).items()))
    triton = importlib.metadata.version("triton")
    pv.ran_on(
        {"target": "cuda-compiled", "generation": f"sm_{sm}", "triton": triton, "launches": {}, "compiled": compiled}
    )


def _fits(pv: Recorder, sm: int, found: list[Any]) -> None:
    machines = [entry.machine for entry in found]
    pv.record("kernels compiled", len(machines), limit=10, unit="kernels", bound="at_least")
    pv.record("stack", max(machine.stack_bytes for machine in machines), limit=0, unit="B")
    pv.record("registers", max(machine.registers for machine in machines), limit=MAX_REGISTERS, unit="registers")
    pv.record("shared memory", max(machine.shared_bytes for machine in machines), limit=SHARED_LIMIT[sm], unit="B")
