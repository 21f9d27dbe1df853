"""Attempts to refute contracts/engine/decode-throughput-v1.yaml."""

from __future__ import annotations

import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from engine import synthetic
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType, layout
from engine.models import load_on
from engine.ops.protocol import Weight
from falsifiers.support import cpu_integer, engines
from falsifiers.support.recorder import Recorder

ROUNDS = 6
SHAPE = synthetic.Shape(2048, 6144, 2, 16, 4, 8192, False)
"""81 MB, the embedding included: more than a cache holds, and two of the layers of a model of 1.5 billion weights."""
PROMPT = 16


@pytest.mark.falsifies("FALSIFY-DECODE-THROUGHPUT-001")
def test_one_token_reads_weights_near_the_speed_of_memory(pv: Recorder) -> None:
    """Refuted by a best round of one product that reads less than 0.5 of the bandwidth of the best round of reading.

    Rounds alternate, in processor time, so a busy minute slows both. Seen failing under integer_products_by_decoding.
    """
    from engine.ops.cpu.bandwidth import reads

    ops = cpu_integer.ops("q8")
    engines.ran_on(pv, ops)
    rows, columns = 24_576, 8192
    size = rows * columns // 256 * layout(GgmlType.Q4_K)[1]
    raw = np.random.default_rng(6).integers(0, 64, size, dtype=np.uint8).reshape(rows, -1)
    weight = Weight("random", GgmlType.Q4_K, (rows, columns), raw)
    x = np.ones((1, columns), np.float32)
    ops.matmul(x, weight)
    memory = reads(1, clock=time.thread_time)
    read, product = [], []
    for _ in range(ROUNDS):
        read += [next(memory), next(memory)]
        start = time.thread_time()
        ops.matmul(x, weight)
        product.append(size / (time.thread_time() - start))
    pv.record("read bandwidth of one thread", max(read) / 1e9, unit="GB/s")
    pv.record("share of the bandwidth", max(product) / max(read), limit=0.5, bound="at_least")


@pytest.mark.falsifies("FALSIFY-DECODE-THROUGHPUT-002")
def test_a_decode_step_is_little_more_than_its_products(pv: Recorder, tmp_path: Path) -> None:
    """Refuted by a best decode step, everything included, that reads less than 0.375 of the bandwidth.

    The row of the embedding is all that is read of it. Seen failing under every_step_runs_the_prompt.
    """
    from engine.ops.cpu.bandwidth import reads

    with mock.patch.dict(synthetic.SHAPES, {"two layers": SHAPE}):
        path = synthetic.write("two layers", tmp_path / "two-layers.gguf")
    with open_gguf(path) as file:
        size = sum(info.size_bytes for name, info in file.tensors.items() if name != "token_embd.weight")
        model = load_on("cpu", file, "q8", 1)
        engines.ran_on(pv, model.ops)
        cache = model.new_cache(PROMPT + 1 + ROUNDS)
        model.forward(range(PROMPT), cache, last_only=True)
        model.forward([1], cache, last_only=True)
        memory = reads(1, clock=time.thread_time)
        read, step = [], []
        for token in range(ROUNDS):
            read.append(next(memory))
            start = time.thread_time()
            model.forward([token], cache, last_only=True)
            step.append(size / (time.thread_time() - start))
    pv.record("read bandwidth of one thread", max(read) / 1e9, unit="GB/s")
    pv.record("best decode step", max(step) / size, unit="tok/s")
    pv.record("share of the bandwidth", max(step) / max(read), limit=0.375, bound="at_least")
