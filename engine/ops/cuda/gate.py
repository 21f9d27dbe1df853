"""Every kernel in every configuration of a model's shapes, compiled without a device.

The operations themselves are called, on tensors without storage, so what is compiled is what their launchers launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engine.gguf.types import GgmlType
from engine.ops.cuda import products, resident, target, weights
from engine.ops.cuda.compiled import Machine, compiled_instead
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.launch import Launch
from engine.ops.cuda.residence import Residence
from engine.ops.cuda.weights import DeviceWeight
from engine.ops.protocol import Weight

WEIGHTS_PER_BLOCK = {"q4_k_matvec": 256, "q6_k_matvec": 256, "q8_0_matvec": 32}
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
        """Rows and columns of the different products of a layer, and of the output."""
        q_size, kv_size = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        hidden, ffn = self.hidden_size, self.intermediate_size
        return (
            (q_size, hidden),
            (kv_size, hidden),
            (hidden, q_size),
            (ffn, hidden),
            (hidden, ffn),
            (self.vocab_size, hidden),
        )


QWEN_7B = Shapes("qwen2.5-7b", 3584, 18944, 28, 4, 128, 152064)
TEACHER = Shapes("teacher", 256, 768, 4, 2, 64, 2944)


@dataclass(frozen=True, slots=True)
class Compiled:
    """One kernel of one configuration."""

    machine: Machine
    constants: str
    """Tile sizes and flags."""
    per_weight: float | None
    """Thread instructions of the main loop per weight, where the kernel has a budget and more than one step."""


def compile_products(shapes: Shapes, kinds: Sequence[GgmlType], tokens: Sequence[int], sm: int) -> list[Compiled]:
    """The products of one model, each in the default mode; the exact mode for one matrix."""
    found: list[Compiled] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda m, launched: found.append(entry(m, launched))):
        for kind in kinds:
            for rows, columns in dict.fromkeys(shapes.matrices()):
                weight = weights.empty("weight", kind, (rows, columns))
                for count in tokens:
                    products.matmul(_values(count, columns), weight, exact=False)
            if kind not in (GgmlType.F32, GgmlType.F16, GgmlType.BF16):
                products.matmul(_values(1, shapes.hidden_size), _one(kind, shapes), exact=True)
            products.largest(products.matmul(_values(1, shapes.hidden_size), _one(kind, shapes), exact=False))
    return found


def compile_layers(shapes: Shapes, sm: int, *, tokens: Sequence[int] = (1, 512)) -> list[Compiled]:
    """Everything of a layer but its products, and the embedding."""
    found: list[Compiled] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda m, launched: found.append(entry(m, launched))):
        for count in tokens:
            positions = np.arange(count, dtype=np.int64)
            x = _values(count, shapes.hidden_size)
            resident.add(resident.rms_norm(x, np.ones(shapes.hidden_size, np.float32), eps=1e-6), x)
            resident.add_bias(x, np.ones(shapes.hidden_size, np.float32))
            resident.swiglu(*(_values(count, shapes.intermediate_size) for _ in range(2)))
            q = _values(count, shapes.num_heads, shapes.head_dim)
            k = _values(count, shapes.num_kv_heads, shapes.head_dim)
            resident.rope(q, positions, theta=1e6)
            resident.rope(k, positions, theta=1e6)
            cache = DeviceKvCache(1, shapes.num_kv_heads, shapes.head_dim, 4096)
            cache.append(0, k, k)
            keys, values = cache.view(0)
            resident.attention(q, keys, values, positions)
        for kind in sorted(weights.KERNEL_TYPES):
            shape = (shapes.vocab_size, shapes.hidden_size)
            host = Weight("token_embd.weight", kind, shape, np.empty((0, 0), np.uint8))
            held = Residence()
            held.hold(host, weights.empty(host.name, kind, shape))
            with held.entered():
                resident.embedding(host, np.zeros(1, np.int64))
    return found


def _one(kind: GgmlType, shapes: Shapes) -> DeviceWeight:
    return weights.empty("output.weight", kind, (shapes.vocab_size, shapes.hidden_size))


def _values(*shape: int) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.float32, device=target.device())


def entry(machine: Machine, launched: Launch) -> Compiled:
    """One compiled launch, with its tiles and its cost per weight."""
    constants = {key: value for key, value in launched.arguments.items() if key.isupper()}
    per_weight = None
    if machine.name in WEIGHTS_PER_BLOCK and machine.has_loop:
        per_weight = machine.per_item(constants["ROWS"] * constants["BLOCKS"] * WEIGHTS_PER_BLOCK[machine.name])
    text = " ".join(f"{key}={value}" for key, value in constants.items())
    return Compiled(machine, f"{text} warps={launched.warps} stages={launched.stages}", per_weight)
