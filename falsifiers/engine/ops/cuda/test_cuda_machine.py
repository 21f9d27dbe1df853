"""Attempts to refute contracts/engine/ops/cuda/cuda-machine-v2.yaml: what the compiler makes of the kernels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import synthetic
from engine.gguf.reader import open_gguf
from engine.models import load_model
from falsifiers.support import cuda, cuda_edges, limits
from falsifiers.support.recorder import Recorder

GENERATIONS = (80, 90)
CONTRACT = "contracts/engine/ops/cuda/cuda-machine-v2.yaml"
TYPES = {
    ("q4_k_matvec", ""): "q4-k",
    ("q6_k_matvec", ""): "q6-k",
    ("q8_0_matvec", ""): "q8-0",
    ("float_matvec", "float16"): "f16",
    ("float_matvec", "bfloat16"): "bf16",
    ("float_matvec", "float32"): "f32",
}
"""Kernels and weights with a budget of instructions, and what their obligations are called after."""

OUTSIDE_LAYERS = 3
"""The embedding, the last norm and the output."""


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-001")
@pytest.mark.parametrize("sm", GENERATIONS)
def test_products_fit_and_stay_within_their_budget(pv: Recorder, sm: int) -> None:
    """Refuted by a product of the shapes of Qwen2.5 7B, 1.5B, 0.5B or the teacher that does not compile, uses the stack
    or too much shared memory, loads narrowly or needs more instructions per weight than its obligation declares.

    These are all shapes of the committed table, in all types of weights that have a kernel.

    Seen failing under alignment_not_promised, products_by_shifts and one_warp_for_all.
    """
    cuda.needs_compiler(pv)
    gate = cuda.module("gate")
    found = []
    for shapes in (gate.QWEN_7B, gate.QWEN_1_5B, gate.QWEN_0_5B, gate.TEACHER):
        found += gate.compile_products(shapes, (*cuda.QUANTISED, *cuda.PLAIN), (1, 40, 256), sm)
    cuda.compiled_only(pv, sm, found)
    _fits(pv, sm, found)
    for (name, weights), kind in sorted(TYPES.items()):
        mine = [
            entry
            for entry in found
            if (entry.machine.name, entry.type) == (name, weights) and entry.per_weight is not None
        ]
        assert mine, f"no {name} with a loop was compiled"
        name = f"{name} {weights}".strip()
        per_weight = max(entry.per_weight for entry in mine)
        limits.record(pv, f"{CONTRACT}#instructions-{kind}", f"{name}: instructions per weight", per_weight)
        loads = min(entry.machine.wide_loads for entry in mine)
        limits.record(pv, f"{CONTRACT}#wide-loads-{kind}", f"{name}: 16-byte loads in the loop", loads)
        if not weights:
            dp4a = min(entry.machine.count("IDP") for entry in mine)
            limits.record(pv, f"{CONTRACT}#dp4a", f"{name}: dp4a in the loop", dp4a)


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-002")
@pytest.mark.parametrize("sm", GENERATIONS)
def test_the_rest_of_a_layer_fits(pv: Recorder, sm: int) -> None:
    """Refuted by another kernel of a layer that does not compile, uses the stack or too much shared memory.

    Seen failing under a_tile_too_large, which leaves attention in prefill without enough registers.
    """
    cuda.needs_compiler(pv)
    gate = cuda.module("gate")
    found = gate.compile_layers(gate.QWEN_7B, sm) + gate.compile_layers(gate.TEACHER, sm, tokens=(1, 40))
    cuda.compiled_only(pv, sm, found)
    _fits(pv, sm, found)


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-003")
def test_no_kernel_is_left_out(pv: Recorder) -> None:
    """Refuted by a kernel of the backend that the gate does not compile. Seen failing under embedding_not_compiled."""
    cuda.needs_compiler(pv)
    gate, sm = cuda.module("gate"), GENERATIONS[-1]
    found = gate.compile_layers(gate.TEACHER, sm, tokens=(1, 40))
    found += gate.compile_products(gate.TEACHER, (*cuda.QUANTISED, *cuda.PLAIN), (1, 40), sm)
    cuda.compiled_only(pv, sm, found)
    missing = cuda.kernels() - {entry.machine.name for entry in found}
    pv.record("kernels", len(cuda.kernels()), limit=20, unit="kernels", bound="at_least")
    pv.record("kernels that nothing was compiled of", len(missing), limit=0, unit="kernels")


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-004")
@pytest.mark.parametrize("name", ["qwen2.5-7b", "qwen2.5-1.5b"])
def test_a_step_is_few_launches(pv: Recorder, tmp_path: Path, name: str) -> None:
    """Refuted by a decode step or a prefill of the real shapes and types that launches more often than declared.

    The model's own forward runs; its launches are counted and not started. Seen failing under nothing_fused.
    """
    cuda.needs_compiler(pv)
    launch, target, resident = (cuda.module(part) for part in ("launch", "target", "resident"))
    path, seen = synthetic.write(name, tmp_path / "model.gguf", sparse=True), {}
    with open_gguf(path) as file:
        model = load_model(file, resident)
        config: Any = model.config
        for tokens in (1, 256):
            names: list[str] = []
            with (
                target.compiling_for(90),
                launch.intercepted(lambda launched, names=names: names.append(launched.name)),
                cuda.module("residence").Residence().entered(),
            ):
                cache = cuda.module("kv_cache").DeviceKvCache(
                    config.num_layers, config.num_kv_heads, config.head_dim, 512
                )
                logits = model.forward(np.zeros(tokens, np.int64), cache, last_only=True)
                inside = len(names) - OUTSIDE_LAYERS
                cuda.module("products").largest(logits)
            seen[tokens] = inside / config.num_layers
            pv.record(f"launches outside the layers, {tokens} tokens", len(names) - inside, limit=4, unit="launches")
    pv.ran_on({"target": "cuda-compiled", "generation": "sm_90", "launches": {}, "compiled": {}})
    limits.record(pv, f"{CONTRACT}#launches-decode", "launches per layer in decode", seen[1])
    limits.record(pv, f"{CONTRACT}#launches-prefill", "launches per layer in prefill", seen[256])


@pytest.mark.falsifies("FALSIFY-CUDA-MACHINE-005")
def test_every_size_of_the_edges_compiles(pv: Recorder) -> None:
    """Refuted by a launch of the edge cases that the compiler refuses for sm_90, and the interpreter does not.

    A size of 1 is a constant to the compiler, sizes that 16 does not divide lose their alignment. Seen failing under
    sizes_are_converted.
    """
    cuda.needs_compiler(pv)
    compiled, launch, target = (cuda.module(name) for name in ("compiled", "launch", "target"))
    launches: dict[str, Any] = {}

    def keep(launched: Any) -> None:
        launches.setdefault(repr((launched.name, launched.options, compiled.specialise(launched))), launched)

    with target.compiling_for(90), launch.intercepted(keep), cuda_edges.without_values():
        for row in cuda_edges.ROWS.values():
            for size in row.sizes().values():
                row.measure(*size)
    refused = []
    for launched in launches.values():
        try:
            compiled.binary(launched, 90)
        except Exception as err:  # whatever the compiler raises
            refused.append(f"{launched.name}: {str(err).strip().splitlines()[-1]}")
    names = Counter(launched.name for launched in launches.values())
    pv.ran_on(
        {"target": "cuda-compiled", "generation": "sm_90", "launches": {}, "compiled": dict(sorted(names.items()))}
    )
    pv.record("kernels", len(names), limit=len(cuda.kernels()), unit="kernels", bound="at_least")
    pv.attach("refused.txt", "\n".join(refused).encode())
    pv.record("launches that do not compile", len(refused), limit=0, unit="launches")


def _fits(pv: Recorder, sm: int, found: list[Any]) -> None:
    machines = [entry.machine for entry in found]
    pv.record("kernels compiled", len(machines), limit=10, unit="kernels", bound="at_least")
    pv.record("stack", max(machine.stack_bytes for machine in machines), limit=0, unit="B")
    limits.record(pv, f"{CONTRACT}#registers", "registers", max(machine.registers for machine in machines))
    shared = max(machine.shared_bytes for machine in machines)
    limits.record(pv, f"{CONTRACT}#shared-sm-{sm}", "shared memory", shared)
