"""Attempts to refute contracts/engine/ops/cuda/cuda-overlap-v1.yaml: kernels that begin before the one before ends."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import synthetic
from engine.gguf.reader import open_gguf
from engine.models import load_model
from falsifiers.support import cuda, cuda_models, cuda_overlap, limits
from falsifiers.support.recorder import Recorder

CONTRACT = "contracts/engine/ops/cuda/cuda-overlap-v1.yaml"
PROMPT = 2
"""Tokens under the interpreter."""


@pytest.mark.falsifies("FALSIFY-CUDA-OVERLAP-001")
def test_kernels_that_overlap_change_no_bit(pv: Recorder) -> None:
    """Refuted by one bit of the logits of a prompt or of a decode step that differs where kernels overlap.

    On a GPU the steps are replays of a graph. Under the interpreter whatever other kernels may write is spoilt until a
    program waits. Seen failing under nobody_waits.
    """
    size = cuda_models.extent(pv)
    with cuda_models.beside_the_cpu(pv) as (llm, model):
        ids = cuda_models.question(llm, 0, PROMPT if cuda.is_interpreted() else size.tokens)
        steps = 1 if cuda.is_interpreted() else size.graph_steps
        with cuda.module("configs").one_after_the_other():
            expected = _logits(model, ids, steps)
        with cuda_overlap.overlapping(model) as overlap:
            if not cuda.is_interpreted() and not cuda.module("configs").dependent_launch():
                pytest.skip("this generation has no dependent launch; run it on sm_90 or later")
            found = _logits(model, ids, steps)
    pv.record("kernels that overlapped", overlap.launches, limit=20, unit="launches", bound="at_least")
    pv.record("logits that differ", int((found != expected).sum()), limit=0, unit="logits")


@pytest.mark.falsifies("FALSIFY-CUDA-OVERLAP-002")
@pytest.mark.parametrize("sm", [80, 90])
def test_what_begins_early_waits_and_releases_once(pv: Recorder, sm: int) -> None:
    """Refuted, for sm_90, by a kernel with the flag that does not wait and release once each or stores before it waits,
    or by one without it that does either; for sm_80 by any of these instructions.

    Seen failing under nobody_waits and one_by_one.
    """
    cuda.needs_compiler(pv)
    early, wrong, stores, instructions = set(), 0, 0, 0
    launches = _launches(sm)
    for launched in launches:
        ptx = cuda.module("compiled").binary(launched, sm).asm["ptx"]
        waits, releases = ptx.count("griddepcontrol.wait;"), ptx.count("griddepcontrol.launch_dependents;")
        instructions += waits + releases
        is_early = "launch_pdl" in launched.options
        early |= {launched.name} if is_early else set()
        wrong += (waits, releases) != (int(is_early), int(is_early))
        stores += len(re.findall(r"\b(?:st\.global|red\.|atom\.)", ptx.partition("griddepcontrol.wait;")[0])) * is_early
    _say(pv, sm, launches)
    if sm < 90:
        pv.record(f"sm_{sm}: waits and releases", instructions, limit=0, unit="instructions")
        return
    limits.record(pv, f"{CONTRACT}#takes-part", "kernels that begin early", len(early))
    pv.record("kernels with other than one wait and one release, or with either", wrong, limit=0, unit="kernels")
    pv.record("stores before the wait", stores, limit=0, unit="instructions")


@pytest.mark.falsifies("FALSIFY-CUDA-OVERLAP-004")
def test_products_wait_behind_their_weights(pv: Recorder) -> None:
    """Refuted by a product whose machine code for sm_90 loads its first weights after it waits.

    Seen failing under waits_before_weights.
    """
    cuda.needs_compiler(pv)
    compiled = cuda.module("compiled")
    products = [launched for launched in _launches(90) if launched.name.endswith("matvec")]
    machines = [compiled.compile_for(launched, 90) for launched in products]
    _say(pv, 90, products)
    names = {machine.name for machine in machines}
    pv.record("kernels of products", len(names), limit=4, unit="kernels", bound="at_least")
    loads = min(compiled.wide_loads(machine.before_wait) for machine in machines)
    limits.record(pv, f"{CONTRACT}#weights-first", "16-byte loads before the wait, of a product", loads)
    waits = [machine.opcodes.index("ACQBULK") for machine in machines]
    pv.record("instructions before the last wait", max(waits), unit="instructions")


def _launches(sm: int) -> list[Any]:
    """Of a layer in decode and of a product of each type, none of them started; each kernel as often as it differs."""
    launch, gate, products, target = (cuda.module(name) for name in ("launch", "gate", "products", "target"))
    found: dict[str, Any] = {}

    def keep(launched: Any) -> None:
        found.setdefault(repr((launched.name, cuda.module("compiled").specialise(launched))), launched)

    with target.compiling_for(sm), launch.intercepted(keep):
        gate.layer(gate.TEACHER, 1)
        for kind in (*cuda.QUANTISED, *cuda.PLAIN):
            x, weight = gate.values(1, 768), cuda.module("weights").empty("w", kind, (512, 768))
            products.largest(products.matmul(x, weight, exact=False))
            products.gated(x, weight)
            gate.embed(weight)
    return list(found.values())


def _say(pv: Recorder, sm: int, launches: list[Any]) -> None:
    compiled = dict(sorted(Counter(launched.name for launched in launches).items()))
    pv.ran_on({"target": "cuda-compiled", "generation": f"sm_{sm}", "launches": {}, "compiled": compiled})


@pytest.mark.falsifies("FALSIFY-CUDA-OVERLAP-003")
def test_every_kernel_of_a_decode_step_begins_early(pv: Recorder, tmp_path: Path) -> None:
    """Refuted by a launch of a decode step of Qwen2.5-7B on sm_90 that waits for the end of the one before.

    The model's own forward runs; its launches are looked at and not started. Seen failing under one_by_one.
    """
    cuda.needs_compiler(pv)
    launch, target = cuda.module("launch"), cuda.module("target")
    launches: list[Any] = []
    path = synthetic.write("qwen2.5-7b", tmp_path / "model.gguf", sparse=True)
    with open_gguf(path) as file:
        model = load_model(file, cuda.module("resident"))
        config: Any = model.config
        with (
            target.compiling_for(90),
            launch.intercepted(launches.append),
            cuda.module("residence").Residence().entered(),
        ):
            cache = cuda.module("kv_cache").DeviceKvCache(config.num_layers, config.num_kv_heads, config.head_dim, 8)
            cuda.module("products").largest(model.forward(np.zeros(1, np.int64), cache, last_only=True))
    pv.ran_on({"target": "cuda-compiled", "generation": "sm_90", "launches": {}, "compiled": {}})
    late = sum("launch_pdl" not in launched.options for launched in launches)
    pv.record("launches", len(launches), limit=8 * config.num_layers, unit="launches", bound="at_least")
    pv.record("launches that begin late", late, limit=0, unit="launches")


def _logits(model: Any, ids: list[int], steps: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Bits of the logits of a prompt and of single tokens after it, the prompt's own ones again: (steps + 1, V)."""
    cache = model.new_cache(len(ids) + steps)
    rows = [model.forward(ids, cache, last_only=True)]
    rows += [model.forward([ids[number % len(ids)]], cache, last_only=True) for number in range(steps)]
    return np.concatenate(rows).view(np.uint32)
