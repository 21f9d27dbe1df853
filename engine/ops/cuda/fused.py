"""The fusions of `engine.ops.fused` on the device; `resident` offers them.

multiply_all      rows of weights of one type lie below each other: one launch for each type
rope_append       one launch, which also adds up what the products have left
add_product       the sum is left to the norm that reads it
gated_product     up to 8 tokens and both weights of one type: one launch, SwiGLU and 8-bit form included
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton

from engine.errors import ShapeError
from engine.ops.cuda import activations, inputs, products, residence
from engine.ops.cuda.angles import quarters
from engine.ops.cuda.kv_cache import DeviceKvCache
from engine.ops.cuda.launch import launch
from engine.ops.cuda.rope_append import rope_append as rope_append_kernel
from engine.ops.cuda.sums import Sum, lazy, or_else, settled
from engine.ops.cuda.swiglu import swiglu as swiglu_kernel
from engine.ops.cuda.weights import KERNEL_TYPES, DeviceWeight
from engine.ops.protocol import I64, Weight
from engine.ops.rotary import PLAIN, Rotary

_SWIGLU_BLOCKS = 32


def multiply_all(x: Any, weights: Sequence[Weight]) -> tuple[Sum, ...]:
    """x (T, K) times the transpose of each weight (N_i, K), not added up yet: (T, N_i) each.

    Raises:
        ShapeError: the rows of x and of a weight differ in length.
    """
    x = settled(x).contiguous()
    found: dict[int, Sum] = {}
    for members in _by_type(weights):
        group = [weights[number] for number in members]
        stack = residence.stack(group)
        if stack is None:
            for number, weight in zip(members, group, strict=True):
                found[number] = _product(x, residence.weight(weight))
            continue
        whole, start = _product(x, stack), 0
        for number, weight in zip(members, group, strict=True):
            end = start + weight.shape[0]
            found[number] = Sum(whole.parts[:, :, start:end])
            start = end
    return tuple(found[number] for number in range(len(weights)))


def add_product(residual: Any, x: Any, weight: Weight) -> tuple[Sum, Sum]:
    """x times the transpose of `weight`, and that plus the residual, neither added up yet.

    Raises:
        ShapeError: as `multiply_all`.
    """
    [product] = multiply_all(x, [weight])
    return product, Sum(product.parts, residual=settled(residual).contiguous())


def gated_product(x: Any, gate: Weight, up: Weight) -> tuple[Any, Any, Any]:
    """The products with gate and with up, and SwiGLU of the two: (T, F) each.

    Raises:
        ShapeError: as `multiply_all`.
    """
    x = settled(x).contiguous()
    size = gate.shape[0]
    is_one_launch = (
        x.shape[0] <= products.MATVEC_TOKENS and gate.type in KERNEL_TYPES and gate.shape == up.shape
        and not (residence.is_exact() and gate.type in products.QUANTISED)
    )  # fmt: skip
    stack = residence.stack([gate, up]) if is_one_launch and gate.type == up.type else None
    if stack is None:
        left, right = (settled(product) for product in multiply_all(x, [gate, up]))
        return left, right, swiglu(left, right)
    product = products.gated(x, stack)
    return product.parts[0, :, :size], product.parts[0, :, size:], product.activated


def swiglu(gate: Any, up: Any) -> Any:
    """SiLU of gate (T, F) times up (T, F); columns have stride 1."""
    tokens, size = gate.shape
    out = torch.empty((tokens, size), dtype=torch.float32, device=gate.device)
    form = activations.kept_with(out) if size % 32 == 0 and tokens <= products.MATVEC_TOKENS else None
    launch(
        swiglu_kernel, (triton.cdiv(size, 32 * _SWIGLU_BLOCKS), 1, tokens), warps=4,
        gate=gate, up=up, y=out, **activations.arguments(form, out), size=size,
        gate_stride=gate.stride(0), up_stride=up.stride(0), BLOCKS=_SWIGLU_BLOCKS, QUANTISE=form is not None,
    )  # fmt: skip
    return out


def rope_append(
    q: Any,
    k: Any,
    v: Any,
    positions: I64,
    kv_cache: DeviceKvCache,
    layer: int,
    *,
    theta: float,
    rotary: Rotary = PLAIN,
) -> tuple[Any, Any]:
    """Turn q (T, H, Dh) and k (T, Hkv, Dh) by their positions, append k and v to the cache; q and k turned.

    Raises:
        ShapeError: Dh is odd, positions does not have T entries, or k and v do not fit the cache.
        ContextError: the cache has no room for T more positions.
    """
    (tokens, heads, head_dim), kv_heads = q.shape, k.shape[1]
    if head_dim % 2 or positions.shape != (tokens,):
        raise ShapeError(f"rope: head dim {head_dim} must be even and positions {positions.shape} be ({tokens},)")
    keys, values = kv_cache.room_for(layer, tuple(k.shape), tuple(v.shape))
    named = {name: lazy(_flat(x)) for name, x in (("q", q), ("k", k), ("v", v))}
    device = named["q"].parts.device
    q_out = torch.empty((tokens, heads, head_dim), dtype=torch.float32, device=device)
    k_out = torch.empty((tokens, kv_heads, head_dim), dtype=torch.float32, device=device)
    arguments: dict[str, Any] = {}
    for name, x in named.items():
        arguments |= {
            name: x.parts, f"{name}_bias": or_else(x.bias, q_out), f"{name}_part_stride": x.parts.stride(0),
            f"{name}_token_stride": x.parts.stride(1), f"{name.upper()}_PARTS": x.parts.shape[0],
            f"{name.upper()}_BIAS": x.bias is not None,
        }  # fmt: skip
    half = head_dim // 2
    launch(
        rope_append_kernel, (tokens, heads + kv_heads, 1), warps=1, **arguments,
        positions=inputs.positions.put(positions), quarters=quarters(head_dim, float(theta), str(device), rotary),
        q_out=q_out, k_out=k_out, keys=keys, values=values, magnitude=float(rotary.magnitude),
        heads=heads, kv_heads=kv_heads, half=half, ADJACENT=rotary.adjacent, HALF=triton.next_power_of_2(half),
    )  # fmt: skip
    kv_cache.appended(layer, tokens)
    return q_out, k_out


def _product(x: Any, weight: DeviceWeight) -> Sum:
    return Sum(products.multiply(x, weight, exact=residence.is_exact()).parts)


def _by_type(weights: Sequence[Weight]) -> list[list[int]]:
    """Numbers of the weights of each type, in order."""
    groups: dict[Any, list[int]] = {}
    for number, weight in enumerate(weights):
        groups.setdefault(weight.type, []).append(number)
    return list(groups.values())


def _flat(x: Any) -> Any:
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2])
