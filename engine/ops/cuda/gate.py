"""Every kernel in every configuration of the committed table, compiled without a device.

The operations themselves are called, on tensors without storage, so what is compiled is what their launchers launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.gguf.types import GgmlType, layout
from engine.ops.cuda import bandwidth, products, resident, target, weights
from engine.ops.cuda.compiled import Machine, compiled_instead
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.launch import Launch
from engine.ops.cuda.sums import Sum
from engine.ops.protocol import Weight
from engine.ops.rotary import PLAIN, Rotary

WEIGHTS_PER_BLOCK = {"q4_k_matvec": 256, "q6_k_matvec": 256, "q8_0_matvec": 32, "float_matvec": 1}
"""Kernels whose instructions per weight are counted."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Sizes of one model."""

    name: str
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int

    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the products of a model, rows that one launch takes together: q, k and v; q and k, and v
        of another type; attn_output; ffn_gate and ffn_up; ffn_down; the output."""
        q_size, kv_size = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        hidden, ffn = self.hidden_size, self.intermediate_size
        return (
            (q_size + 2 * kv_size, hidden), (q_size + kv_size, hidden), (kv_size, hidden), (hidden, q_size),
            self.gated, (hidden, ffn), (self.vocab_size, hidden),
        )  # fmt: skip

    @property
    def gated(self) -> tuple[int, int]:
        return 2 * self.intermediate_size, self.hidden_size


QWEN_7B = Shapes("qwen2.5-7b", 3584, 18944, 28, 4, 128, 152064)
QWEN_1_5B = Shapes("qwen2.5-1.5b", 1536, 8960, 12, 2, 128, 151936)
QWEN_0_5B = Shapes("qwen2.5-0.5b", 896, 4864, 14, 2, 64, 151936)
TEACHER = Shapes("teacher", 256, 768, 4, 2, 64, 2944)


@dataclass(frozen=True, slots=True)
class Compiled:
    """One kernel of one configuration."""

    machine: Machine
    type: str
    """Of the weights, such as 'float16' for float_matvec; empty where the kernel's name says it."""
    constants: str
    """Tile sizes and flags."""
    per_weight: float | None
    """Thread instructions of the main loop per weight, where the kernel has a budget and more than one step."""


def compile_products(shapes: Shapes, kinds: Sequence[GgmlType], tokens: Sequence[int], sm: int) -> list[Compiled]:
    """The products of one model in each type that has blocks of such rows, each in the default mode; the exact mode
    and the argmax for the output."""
    found: list[Compiled] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda m, launched: found.append(entry(m, launched))):
        for kind in kinds:
            for rows, columns in dict.fromkeys(shapes.matrices()):
                if columns % layout(kind)[0]:
                    continue
                weight = weights.empty("weight", kind, (rows, columns))
                for count in tokens:
                    products.multiply(values(count, columns), weight, exact=False)
                if (rows, columns) == shapes.gated:
                    products.gated(values(1, columns), weight)
                if rows == shapes.vocab_size:
                    products.multiply(values(1, columns), weight, exact=True)
                    products.largest(products.matmul(values(1, columns), weight, exact=False))
    return found


def compile_layers(shapes: Shapes, sm: int, *, tokens: Sequence[int] = (1, 512)) -> list[Compiled]:
    """Everything of a layer but its products, and the embedding of each type."""
    found: list[Compiled] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda m, launched: found.append(entry(m, launched))):
        for count in tokens:
            layer(shapes, count)
        for kind in sorted(weights.KERNEL_TYPES):
            columns = -(-shapes.hidden_size // 256) * 256
            embed(weights.empty("token_embd.weight", kind, (shapes.vocab_size, columns)))
        bandwidth.read()
    return found


def embed(weight: weights.DeviceWeight) -> None:
    """One row of a weight as an embedding."""
    host = Weight(weight.name, weight.type, weight.shape, np.empty((0, 0), np.uint8))
    resident.embedding(host, np.zeros(1, np.int64))


def layer(shapes: Shapes, tokens: int) -> None:
    """Everything of a layer but its products."""
    positions = np.arange(tokens, dtype=np.int64)
    x, ones = values(tokens, shapes.hidden_size), np.ones(shapes.hidden_size, np.float32)
    resident.add(resident.rms_norm(x, ones, eps=1e-6), x)
    resident.add_bias(x, ones)
    for parts in (1, 4):
        split = Sum(values(parts, tokens, shapes.hidden_size), residual=x)
        split.added()
        resident.rms_norm(split, ones, eps=1e-6)
    resident.swiglu(*(values(tokens, shapes.intermediate_size) for _ in range(2)))
    heads = (shapes.num_heads, shapes.num_kv_heads, shapes.num_kv_heads)
    cache = DeviceKvCache(2, shapes.num_kv_heads, shapes.head_dim, 4096)
    q, k, v = (_heads(1, tokens, number, shapes.head_dim) for number in heads)
    cache.append(0, k, v)
    for rotary in (PLAIN, Rotary(adjacent=True)):
        resident.rope(q, positions, theta=1e6, rotary=rotary)
        for parts in (1, 4):
            q, k, v = (_heads(parts, tokens, number, shapes.head_dim) for number in heads)
            q, _ = resident.rope_append(q, k, v, positions, cache, 0, theta=1e6, rotary=rotary)
    for window in (None, 1000):  # a window that is a multiple of 16 is the same to the compiler as none
        resident.attention(q, *cache.view(0), positions, window=window)


def _heads(parts: int, tokens: int, number: int, head_dim: int) -> Any:
    width = number * head_dim
    return Sum(values(parts, tokens, width), bias=values(width), shape=(tokens, number, head_dim))


def values(*shape: int) -> Any:
    """Float32 activations that nobody has written."""
    return torch.empty(shape, dtype=torch.float32, device=target.device())


def entry(machine: Machine, launched: Launch) -> Compiled:
    """One compiled launch, with its tiles and its cost per weight."""
    constants = {key: value for key, value in launched.arguments.items() if key.isupper()}
    per_weight = None
    if machine.name in WEIGHTS_PER_BLOCK and machine.has_loop:
        # one iteration may be several steps: multiplications tell, four weights each or one
        multiplied = 4 * machine.count("IDP") if machine.name != "float_matvec" else machine.count("FFMA")
        step = (
            constants["ROWS"] * constants.get("BLOCKS", constants.get("COLUMNS", 0)) * WEIGHTS_PER_BLOCK[machine.name]
        )
        per_weight = machine.per_item(multiplied * machine.threads or step)
    kind = str(launched.arguments["w"].dtype).removeprefix("torch.") if machine.name.startswith("float_") else ""
    text = " ".join(f"{key}={value}" for key, value in constants.items())
    return Compiled(machine, kind, f"{text} warps={launched.warps} stages={launched.stages}", per_weight)
