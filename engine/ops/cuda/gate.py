"""Every kernel in every configuration of the committed table, compiled without a device.

The operations themselves are called, on tensors without storage, so what is compiled is what their launchers launch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.gguf.types import GgmlType, layout
from engine.ops.cuda import bandwidth, configs, products, resident, target, weights
from engine.ops.cuda.compiled import Machine, compiled_instead
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.launch import Launch
from engine.ops.cuda.residence import Residence
from engine.ops.cuda.sums import Sum
from engine.ops.cuda.weights import KERNEL_TYPES
from engine.ops.protocol import Weight

WEIGHTS_PER_BLOCK = {"q4_k_matvec": 256, "q6_k_matvec": 256, "q8_0_matvec": 32, "float_matvec": 1}
"""Kernels whose instructions per weight are counted."""

GATED_SHAPES = ((37888, 3584), (17920, 1536), (9728, 896))
"""Rows of ffn_gate and ffn_up, and columns: Qwen2.5 7B, 1.5B, 0.5B."""
OTHER_SHAPE = (200, 768)
"""Named by no table; an odd number of blocks and of row tiles."""


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


def compile_all(sm: int, run: Callable[[], None]) -> list[Compiled]:
    """What `run` launches, each kernel as often as it differs."""
    found: list[Compiled] = []
    with target.compiling_for(sm), compiled_instead(sm, lambda m, launched: found.append(entry(m, launched))):
        run()
    return found


def kernels() -> set[str]:
    """Names of all kernels: a module that has one is named after it, and a kernel returns nothing."""
    sources = {path.stem: path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py")}
    return {
        name for name, text in sources.items() if re.search(rf"^@triton.jit\ndef {name}\([^)]*\) -> None:", text, re.M)
    }


def every_product(tokens: Sequence[int] = (1, 256)) -> None:
    """Each type of weight in the shapes that the table names and in another one, in every mode."""
    for kind in sorted(KERNEL_TYPES):
        for shape in (*configs.table().splits, OTHER_SHAPE):
            if shape[1] % layout(kind)[0] == 0:
                weight = weights.empty("weight", kind, shape)
                for count in tokens:
                    products.multiply(_values(count, shape[1]), weight, exact=False)
        for shape in GATED_SHAPES:
            if shape[1] % layout(kind)[0] == 0:
                products.gated(_values(1, shape[1]), weights.empty("weight", kind, shape))
        products.multiply(_values(1, 3584), weights.empty("weight", kind, (152064, 3584)), exact=True)
    for rows in (2944, 152064):
        weight = weights.empty("output.weight", GgmlType.Q6_K, (rows, 256))
        products.largest(products.matmul(_values(1, 256), weight, exact=False))


def every_other_operation(shapes: Shapes, *, tokens: Sequence[int] = (1, 256)) -> None:
    """Everything of a layer but its products, and the embedding of each type."""
    ones = np.ones(shapes.hidden_size, np.float32)
    for count in tokens:
        positions = np.arange(count, dtype=np.int64)
        x = _values(count, shapes.hidden_size)
        resident.add(resident.rms_norm(x, ones, eps=1e-6), x)
        resident.rms_norm(_product(count, shapes.hidden_size), ones, eps=1e-6)
        _product(count, shapes.hidden_size).added()
        resident.add_bias(x, ones)
        resident.swiglu(*(_values(count, shapes.intermediate_size) for _ in range(2)))
        q = _values(count, shapes.num_heads, shapes.head_dim)
        k = _values(count, shapes.num_kv_heads, shapes.head_dim)
        resident.rope(q, positions, theta=1e6)
        cache = DeviceKvCache(2, shapes.num_kv_heads, shapes.head_dim, 4096)
        cache.append(0, k, k)
        q, _ = resident.rope_append(q, k, k, positions, cache, 0, theta=1e6)
        resident.attention(q, *cache.view(0), positions)
    for kind in sorted(weights.KERNEL_TYPES):
        host = Weight("token_embd.weight", kind, (shapes.vocab_size, 3584), np.empty((0, 0), np.uint8))
        with Residence().entered():
            resident.embedding(host, np.zeros(1, np.int64))
    bandwidth.read()


def _product(tokens: int, columns: int) -> Sum:
    return Sum(_values(4, tokens, columns), residual=_values(tokens, columns))


def _values(*shape: int) -> torch.Tensor:
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
