"""Attempts to refute contracts/engine/ops/cuda/cuda-model-v1.yaml: a whole model on the device.

Nothing here has run on a GPU yet: which faults are meant to make each test fail is said, not that they were seen to.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import trace
from engine.errors import BackendError
from engine.gguf.reader import open_gguf
from engine.llm import Llm
from engine.models import load_model, parity_gate
from engine.models.on_device import OnDevice
from falsifiers.support import cuda, prompts
from falsifiers.support.recorder import Recorder

ROOT = Path(__file__).resolve().parents[4]
QUESTIONS = prompts.QUESTIONS[:4]
WHOLE_MODEL = "a whole model takes the interpreter minutes; tests/engine/ops/cuda runs a small one through it"


@contextmanager
def on_device(path: Path, *, graph: bool = True) -> Iterator[OnDevice]:
    with open_gguf(path) as file:
        model = OnDevice(file, load_model, graph=graph)
        try:
            yield model
        finally:
            model.release()


@contextmanager
def on_cpu(path: Path) -> Iterator[Llm]:
    with Llm.load(path) as llm:
        yield llm


def question(llm: Llm, number: int) -> list[int]:
    return prompts.ids(llm, QUESTIONS[number])


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-001")
def test_logits_point_the_same_way(pv: Recorder) -> None:
    """Refuted by a prefill whose logits have a cosine below 0.99999 with the CPU's, or a decode step below 0.998.

    Made to fail by q4k_nibbles_swapped and rope_position_off_by_one.
    """
    cuda.needs_gpu(pv, WHOLE_MODEL)
    with on_cpu(pv.model) as llm, on_device(pv.model) as model, cuda.recorded(pv):
        ids = question(llm, 0)[:12]
        expected = llm.logits(ids)
        wide = cuda.least_cosine(model.forward(ids, model.new_cache(len(ids))), expected)
        narrow = cuda.least_cosine(cuda.serial(model, ids[:3]), expected[:3])
    pv.record("smallest cosine in prefill", wide, limit=0.99999, bound="at_least")
    pv.record("smallest cosine in decode", narrow, limit=0.998, bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-002")
def test_greedy_decode_chooses_what_the_cpu_chooses(pv: Recorder) -> None:
    """Refuted by a step of 64, over several prompts and fed the CPU's tokens, at which another token is chosen that
    the CPU does not give nearly the same logit.

    Made to fail by q6k_not_repacked.
    """
    cuda.needs_gpu(pv, WHOLE_MODEL)
    steps, count = 64, len(QUESTIONS)
    found: list[parity_gate.Step] = []
    with on_cpu(pv.model) as llm, on_device(pv.model) as model, cuda.recorded(pv):
        for number in range(count):
            found += parity_gate.compare(model, llm.model, question(llm, number)[-12:], steps=steps)
    pv.record("steps compared", len(found), limit=count * (steps + 1), unit="steps", bound="at_least")
    pv.record("most that another token costs", max(step.lost for step in found), limit=parity_gate.NEAR_TIE)
    pv.record("smallest cosine", min(step.cosine for step in found), limit=parity_gate.MIN_COSINE, bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-003")
def test_taps_change_nothing(pv: Recorder) -> None:
    """Refuted by one bit of the logits that a tap changes. Made to fail by tap_recomputes."""
    cuda.needs_gpu(pv, WHOLE_MODEL)
    with on_cpu(pv.model) as llm, on_device(pv.model, graph=False) as model, cuda.recorded(pv):
        differing = seen = 0
        for ids in (question(llm, 0)[:10], question(llm, 1)[:1]):
            recorder = trace.Recorder()
            tapped = model.forward(ids, model.new_cache(len(ids)), tap=recorder)
            plain = model.forward(ids, model.new_cache(len(ids)))
            differing += int((tapped.view(np.uint32) != plain.view(np.uint32)).sum())
            seen += len(recorder.arrays)
    pv.record("logits that differ", differing, limit=0, unit="logits")
    pv.record("places tapped", seen, limit=2 * len(trace.LAYER_TAPS), unit="places", bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-004")
def test_batched_prefill_is_serial_prefill(pv: Recorder) -> None:
    """Refuted by a cosine below 0.998 between the last logits of a prompt in one forward and token by token.

    One forward has float16 activations, the other 8-bit ones. Made to fail by attention_one_slot_too_many, which
    shows a batch the tokens after each one.
    """
    cuda.needs_gpu(pv, WHOLE_MODEL)
    with on_cpu(pv.model) as llm, on_device(pv.model) as model, cuda.recorded(pv):
        ids = question(llm, 0)[:10]
        batched = model.forward(ids, model.new_cache(len(ids)))
        alone = cuda.serial(model, ids)
    pv.record("smallest cosine", cuda.least_cosine(batched, alone), limit=0.998, bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-005")
def test_the_gate_refuses_a_wrong_device(pv: Recorder) -> None:
    """Refuted by a model that answers although one of its weight types is misread on the device, or by a sound one
    that is refused.

    Made to fail by gate_lets_all_pass.
    """
    from falsifiers.support import cuda_faults

    cuda.needs_gpu(pv, WHOLE_MODEL)
    refused = 0
    with on_cpu(pv.model) as llm, cuda.recorded(pv):
        ids = question(llm, 0)[-10:]
        with on_device(pv.model) as model:
            passed = len(parity_gate.require(model, llm.model, ids, steps=1))
        with cuda_faults.q4k_nibbles_swapped(), on_device(pv.model) as model:
            try:
                parity_gate.require(model, llm.model, ids, steps=1)
            except BackendError:
                refused = 1
    pv.record("steps that a sound device passes", passed, limit=2, unit="steps", bound="at_least")
    pv.record("wrong devices refused", refused, limit=1, unit="devices", bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-006")
def test_a_graph_is_the_eager_forward(pv: Recorder) -> None:
    """Refuted by one bit of 32 decode steps that differs between replays of the graph and single launches.

    Made to fail by graph_keeps_its_position.
    """
    cuda.needs_gpu(pv, "graphs are captured by the driver")
    logits = []
    with on_cpu(pv.model) as llm:
        ids = question(llm, 0)
    with cuda.recorded(pv):
        for graph in (False, True):
            with on_device(pv.model, graph=graph) as model:
                assert (model.mode == "graph") == graph, model.mode
                logits.append(_answer_logits(model, ids, 32))
    pv.record("logits that differ", int((logits[0] != logits[1]).sum()), limit=0, unit="logits")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-007")
def test_repeats_are_bit_equal(pv: Recorder) -> None:
    """Refuted by two of 10 repeats, in 5 processes, whose logits over 16 decode steps differ in one bit.

    Made to fail by sums_in_any_order, entered in the children as well.
    """
    cuda.needs_gpu(pv, "the interpreter runs programs one after another; nothing can race")
    digests: list[str] = []
    with on_cpu(pv.model) as llm:
        ids = question(llm, 0)
    with cuda.recorded(pv):
        with on_device(pv.model) as model:
            digests += [_digest(model, ids) for _ in range(2)]
        for _ in range(4):
            digests += _digests_of_a_child(pv.model, ids, 2)
    pv.record("repeats", len(digests), limit=10, unit="repeats", bound="at_least")
    pv.record("different results", len(set(digests)), limit=1, unit="results")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-008")
def test_device_memory_stays_near_the_file(pv: Recorder) -> None:
    """Refuted by a peak above 1.15 times the file plus what the cache and the declared workspace take.

    Made to fail by weights_in_float32.
    """
    cuda.needs_gpu(pv, "the peak is the allocator's")
    memory = cuda.module("memory")
    with on_cpu(pv.model) as llm:
        ids = question(llm, 0)
    with cuda.recorded(pv):
        memory.reset_peak()
        with on_device(pv.model) as model:
            _answer_logits(model, ids, 4)
            allowed = 1.15 * pv.model.stat().st_size + model.need.kv_cache + model.need.workspace
            peak = memory.peak_bytes()
    pv.record("peak", peak, limit=allowed, unit="B")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-009")
def test_the_gpu_is_faster_than_the_cpu(pv: Recorder) -> None:
    """Refuted by fewer tokens per second in greedy decode than the CPU backend has on the same machine, or fewer than
    100. Made to fail by every_launch_waits.
    """
    cuda.needs_gpu(pv, "the interpreter has no speed")
    with on_cpu(pv.model) as llm:
        ids = question(llm, 0)
        cpu = _tokens_per_s(llm.model, ids, 32)
    with cuda.recorded(pv), on_device(pv.model) as model:
        gpu = _tokens_per_s(model, ids, 128)
    pv.record("decode on the CPU", cpu, unit="tok/s")
    pv.record("decode on the GPU", gpu, limit=max(cpu, 100.0), unit="tok/s", bound="at_least")


@pytest.mark.falsifies("FALSIFY-CUDA-MODEL-010")
def test_the_record_says_what_ran(pv: Recorder) -> None:
    """Refuted by a run record without the kernels that were launched, the mode, or the device where there is one.

    Made to fail by launches_not_counted.
    """
    cuda.needs_gpu(pv, WHOLE_MODEL)
    with on_cpu(pv.model) as llm, cuda.recorded(pv), on_device(pv.model) as model:
        ids = question(llm, 0)[:2]
        before = sum(model.facts()["launches"].values())
        model.forward(ids[:1], model.new_cache(2))
        facts = model.facts()
    layers = llm.model.config.num_layers
    launches = sum(facts["launches"].values()) - before
    pv.record("launches for each layer", launches / layers, limit=15, unit="launches", bound="at_least")
    missing = {"target", "mode", "launches", "torch", "triton"} - facts.keys()
    missing |= {"device", "driver"} - facts.keys()
    pv.record("facts missing", len(missing), limit=0, unit="facts")


def _answer_logits(model: Any, ids: Sequence[int], steps: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Bits of the logits of greedy decode after a prompt: (steps, V)."""
    cache = model.new_cache(len(ids) + steps)
    logits = model.forward(ids, cache, last_only=True)
    rows = []
    for _ in range(steps):
        logits = model.forward([int(logits[-1].argmax())], cache, last_only=True)
        rows.append(logits[-1].copy())
    return np.stack(rows).view(np.uint32)


def _digest(model: Any, ids: Sequence[int]) -> str:
    return hashlib.sha256(_answer_logits(model, ids, 16).tobytes()).hexdigest()


_CHILD = """
import json, sys
from contextlib import ExitStack
from pathlib import Path
from falsifiers.engine.ops.cuda import test_cuda_model as falsifier
from falsifiers.support import cuda_faults
path, ids, times, faults = json.loads(sys.argv[1])
with ExitStack() as stack:
    for name in faults:
        stack.enter_context(getattr(cuda_faults, name)())
    model = stack.enter_context(falsifier.on_device(Path(path)))
    print(json.dumps([falsifier._digest(model, ids) for _ in range(times)]))
"""


def _digests_of_a_child(path: Path, ids: Sequence[int], times: int) -> list[str]:
    faults = cuda.planted()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps([str(path), list(ids), times, faults])],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True,
    )  # fmt: skip
    digests: list[str] = json.loads(done.stdout.splitlines()[-1])
    return digests


def _tokens_per_s(model: Any, ids: Sequence[int], steps: int) -> float:
    """Greedy decode after a prompt, the better of two runs; the first loads kernels."""
    best = 0.0
    for _ in range(2):
        cache = model.new_cache(len(ids) + steps + 1)
        token = int(model.forward(ids, cache, last_only=True)[-1].argmax())
        logits = model.forward([token], cache, last_only=True)
        start = time.perf_counter()
        for _ in range(steps):
            logits = model.forward([int(logits[-1].argmax())], cache, last_only=True)
        best = max(best, steps / (time.perf_counter() - start))
    return best
