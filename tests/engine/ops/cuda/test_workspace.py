"""The workspace at the shapes of a real model and the tiles of each GPU: no storage, and no kernel is started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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

HEAD_DIM, VOCAB = 128, 152064


class Sizes(NamedTuple):
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    norms_heads: bool = False


QWEN2_7B, QWEN3_SMALL = Sizes(3584, 28, 4, 18944), Sizes(1024, 16, 8, 3072, norms_heads=True)
"""Qwen2.5-7B and Qwen3-0.6B."""


def weight(rows: int, columns: int, kind: GgmlType = GgmlType.Q4_K) -> Weight:
    return Weight("w", kind, (rows, columns), np.empty((0, 0), np.uint8))


def forward(ops: Any, sizes: Sizes) -> Callable[[int], Any]:
    """One layer and the output, as a model computes them."""
    hidden, width, kv = sizes.hidden, sizes.heads * HEAD_DIM, sizes.kv_heads * HEAD_DIM
    norm, head_norm = np.ones(hidden, np.float32), np.ones(HEAD_DIM, np.float32)
    biases = [np.ones(size, np.float32) for size in (width, kv, kv)]
    q, k, v = weight(width, hidden), weight(kv, hidden), weight(kv, hidden, GgmlType.Q6_K)
    o, gate, up = weight(hidden, width), weight(sizes.ffn, hidden), weight(sizes.ffn, hidden)
    down, output = weight(hidden, sizes.ffn, GgmlType.Q6_K), weight(VOCAB, hidden, GgmlType.Q6_K)
    cache = DeviceKvCache(1, sizes.kv_heads, HEAD_DIM, 2048)

    def attention(x: Any, tokens: int) -> Any:
        cache.reset()
        positions = np.arange(tokens)
        normed = ops.rms_norm(x, norm, eps=1e-6)
        found = fused.multiply_all(ops, normed, (q, k, v))
        shapes = [(tokens, heads, HEAD_DIM) for heads in (sizes.heads, sizes.kv_heads, sizes.kv_heads)]
        if sizes.norms_heads:
            after = [ops.rms_norm(y.reshape(-1, HEAD_DIM), head_norm, eps=1e-6) for y in found[:2]] + [found[2]]
        else:
            after = [ops.add_bias(y, b) for y, b in zip(found, biases, strict=True)]
        parts = [y.reshape(*shape) for y, shape in zip(after, shapes, strict=True)]
        turned, _ = fused.rope_append(ops, *parts, positions, cache, 0, theta=1e6)
        joined = ops.attention(turned, *cache.view(0), positions).reshape(tokens, width)
        return fused.add_product(ops, x, joined, o)[1]

    def ffn(x: Any) -> Any:
        normed = ops.rms_norm(x, norm, eps=1e-6)
        left, right, activated = fused.gated_product(ops, normed, gate, up)
        summed = fused.add_product(ops, x, activated, down)[1]
        del left, right
        return summed

    def run(tokens: int) -> Any:
        x = torch.empty((tokens, hidden), dtype=torch.float32, device=target.device())
        x = ffn(attention(x, tokens))[-1:]
        return ops.matmul(ops.rms_norm(x, norm, eps=1e-6), output)

    return run


@pytest.mark.parametrize(("sizes", "at_most"), [(QWEN2_7B, 2), (QWEN3_SMALL, 4)], ids=["qwen2 7B", "qwen3 0.6B"])
@pytest.mark.parametrize("sm", [80, 90])
@pytest.mark.parametrize("exact", [False, True], ids=["q8", "f32"])
def test_activations_of_a_model_stay_within_the_workspace(sm: int, exact: bool, sizes: Sizes, at_most: float) -> None:
    """And is not too large either: in a small model the buffers for partial sums of few tokens weigh more."""
    width, kv = sizes.heads * HEAD_DIM, sizes.kv_heads * HEAD_DIM
    widths = memory.Widths(sizes.hidden, width, kv, sizes.ffn, VOCAB, sizes.norms_heads)
    residence = Residence(exact=exact)
    with target.compiling_for(sm), launch.intercepted(lambda _: None), residence.entered():
        run = forward(resident, sizes)
        for tokens in (1, 8, 9, 1024):
            run(tokens)  # weights and angles stay
            with DeviceMemory() as device:
                run(tokens)
            reserved = memory.activations(tokens, widths)
            assert reserved / at_most <= device.peak <= reserved, f"{tokens} tokens"
