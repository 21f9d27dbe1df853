"""The workspace at the shapes of a real model and the tiles of each GPU: no storage, and no kernel is started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from engine.gguf.types import GgmlType
from engine.ops import fused
from engine.ops.cuda import launch, memory, resident, target
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.residence import Residence
from engine.ops.protocol import Weight
from support.device_memory import DeviceMemory

HEADS, KV_HEADS, HEAD_DIM = 28, 4, 128
HIDDEN, KV, FFN, VOCAB = 3584, 512, 18944, 152064
"""Qwen2.5-7B."""


def weight(rows: int, columns: int, kind: GgmlType = GgmlType.Q4_K) -> Weight:
    return Weight("w", kind, (rows, columns), np.empty((0, 0), np.uint8))


def forward(ops: Any) -> Callable[[int], Any]:
    """One layer and the output, as a model computes them."""
    norm, bias = np.ones(HIDDEN, np.float32), np.ones(KV, np.float32)
    q, k, v = weight(HIDDEN, HIDDEN), weight(KV, HIDDEN), weight(KV, HIDDEN, GgmlType.Q6_K)
    o, gate, up = weight(HIDDEN, HIDDEN), weight(FFN, HIDDEN), weight(FFN, HIDDEN)
    down, output = weight(HIDDEN, FFN, GgmlType.Q6_K), weight(VOCAB, HIDDEN, GgmlType.Q6_K)
    cache = DeviceKvCache(1, KV_HEADS, HEAD_DIM, 2048)

    def attention(x: Any, tokens: int) -> Any:
        cache.reset()
        positions = np.arange(tokens)
        normed = ops.rms_norm(x, norm, eps=1e-6)
        found = fused.multiply_all(ops, normed, (q, k, v))
        shapes = [(tokens, heads, HEAD_DIM) for heads in (HEADS, KV_HEADS, KV_HEADS)]
        biased = [ops.add_bias(y, b) for y, b in zip(found, (norm, bias, bias), strict=True)]
        parts = [y.reshape(*shape) for y, shape in zip(biased, shapes, strict=True)]
        turned, _ = fused.rope_append(ops, *parts, positions, cache, 0, theta=1e6)
        joined = ops.attention(turned, *cache.view(0), positions).reshape(tokens, HIDDEN)
        return fused.add_product(ops, x, joined, o)[1]

    def ffn(x: Any) -> Any:
        normed = ops.rms_norm(x, norm, eps=1e-6)
        left, right, activated = fused.gated_product(ops, normed, gate, up)
        summed = fused.add_product(ops, x, activated, down)[1]
        del left, right
        return summed

    def run(tokens: int) -> Any:
        x = torch.empty((tokens, HIDDEN), dtype=torch.float32, device=target.device())
        x = ffn(attention(x, tokens))[-1:]
        return ops.matmul(ops.rms_norm(x, norm, eps=1e-6), output)

    return run


@pytest.mark.parametrize("sm", [80, 90])
@pytest.mark.parametrize("exact", [False, True], ids=["q8", "f32"])
def test_activations_of_a_7b_model_stay_within_the_workspace(sm: int, exact: bool) -> None:
    widths = memory.Widths(HIDDEN, HIDDEN, KV, FFN, VOCAB)
    residence = Residence(exact=exact)
    with target.compiling_for(sm), launch.intercepted(lambda _: None), residence.entered():
        run = forward(resident)
        for tokens in (1, 8, 9, 1024):
            run(tokens)  # weights and angles stay
            with DeviceMemory() as device:
                run(tokens)
            reserved = memory.activations(tokens, widths)
            assert reserved / 2 <= device.peak <= reserved, f"{tokens} tokens"
