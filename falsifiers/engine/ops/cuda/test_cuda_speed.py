"""Attempts to refute contracts/engine/ops/cuda/cuda-speed-v1.yaml. Only a GPU has a speed that says anything.

`tests/engine/ops/cuda/interpreted` runs the code of these falsifiers, and their fault was seen caught there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from engine import synthetic
from engine.gguf.reader import open_gguf
from engine.llm import Llm
from engine.models import load_model
from engine.models.on_device import OnDevice
from falsifiers.support import cuda, limits, prompts
from falsifiers.support.recorder import Recorder

CONTRACT = "contracts/engine/ops/cuda/cuda-speed-v1.yaml"
GPU_STEPS, CPU_STEPS = 64, 32
SHAPES = "qwen2.5-7b"


@pytest.mark.falsifies("FALSIFY-CUDA-SPEED-001")
def test_the_gpu_is_faster_than_the_cpu(pv: Recorder) -> None:
    """Refuted by fewer tokens per second in greedy decode than the CPU backend has on the same machine.

    Seen failing under every_forward_waits.
    """
    cuda.needs_gpu(pv, "the interpreter has no speed")
    with Llm.load(pv.model) as llm:
        ids = prompts.ids(llm)
        cpu = _tokens_per_s(llm.model, ids, CPU_STEPS)
    with cuda.recorded(pv), open_gguf(pv.model) as file:
        model = OnDevice(file, load_model)
        gpu = _tokens_per_s(model, ids, GPU_STEPS)
        model.release()
    pv.record("decode on the CPU", cpu, unit="tok/s")
    pv.record("decode on the GPU", gpu, unit="tok/s")
    limits.record(pv, f"{CONTRACT}#faster-than-cpu", "GPU over CPU", gpu / cpu)


@pytest.mark.falsifies("FALSIFY-CUDA-SPEED-002")
def test_decode_takes_its_share_of_the_bandwidth(pv: Recorder) -> None:
    """Refuted by a smaller share than declared, with weights of random bytes that are made on the device.

    Seen failing under every_forward_waits.
    """
    cuda.needs_gpu(pv, "the interpreter has no speed")
    bandwidth = cuda.module("bandwidth")
    with ExitStack() as stack:
        stack.enter_context(cuda.recorded(pv))
        read = float(np.median(bandwidth.read_bandwidth(cuda.timer())))
        bandwidth.release()
        file = stack.enter_context(synthetic.shapes_only(SHAPES))
        stack.enter_context(cuda.module("random_weight").instead_of_uploads(synthetic.mean_scales))
        model = OnDevice(file, load_model)
        stack.callback(model.release)
        speed = _tokens_per_s(model, [1, 2, 3], GPU_STEPS)
        size = model.need.weights
    pv.record("reading memory", read, unit="B/s")
    pv.record("weights", size, unit="B")
    pv.record("decode", speed, unit="tok/s")
    limits.record(pv, f"{CONTRACT}#floor", "share of the bandwidth", speed * size / read)


def _tokens_per_s(model: Any, ids: Sequence[int], steps: int) -> float:
    """Greedy decode after a prompt, the better of two runs; the first loads kernels and captures."""
    best = 0.0
    for _ in range(2):
        cache = model.new_cache(len(ids) + steps + 1)
        token = _next(model, ids, cache)
        token = _next(model, [token], cache)
        start = time.perf_counter()
        for _ in range(steps):
            token = _next(model, [token], cache)
        best = max(best, steps / (time.perf_counter() - start))
    return best


def _next(model: Any, ids: Sequence[int], cache: Any) -> int:
    """The most probable next token, in the way that each backend generates."""
    if isinstance(model, OnDevice):
        return model.next_token(ids, cache)
    return int(model.forward(ids, cache, last_only=True)[-1].argmax())
