"""The operations of `ops.reference` on tensors that stay on the device; a model that runs on the GPU is given these.

Activations are float32 torch tensors; token ids and positions come as numpy arrays, as a model makes them. Weights are
uploaded at their first use and kept with the model that runs (`residence`). Norms and SwiGLU leave their result in the
8-bit form as well, for the product that follows. The signatures with numpy arrays throughout are those of
`engine.ops.cuda` itself.
"""

from __future__ import annotations

from typing import Any

import torch
import triton

from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops.cuda import activations, configs, decode, fused, inputs, products, residence
from engine.ops.cuda.add import add as add_kernel
from engine.ops.cuda.angles import quarters
from engine.ops.cuda.attention_decode import attention_decode
from engine.ops.cuda.attention_merge import attention_merge
from engine.ops.cuda.attention_prefill import attention_prefill
from engine.ops.cuda.embedding import embedding as embedding_kernel
from engine.ops.cuda.launch import launch
from engine.ops.cuda.rms_norm import rms_norm as rms_norm_kernel
from engine.ops.cuda.rope import rope as rope_kernel
from engine.ops.cuda.sums import Sum, lazy, or_else, settled
from engine.ops.cuda.weights import KERNEL_TYPES, DeviceWeight
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import PLAIN, Rotary

name = "cuda"
precision = "int8 activations and float32 sums up to 8 tokens, float16 products beyond, float16 kv cache"

_BLOCK = 1024
_LOG2_E = 1.4426950408889634
# more slots than any cache has, and half of what an int32 holds
_ALL = 1 << 30

multiply_all, add_product, gated_product, rope_append = (
    fused.multiply_all, fused.add_product, fused.gated_product, fused.rope_append
)  # fmt: skip

zeros_like = torch.zeros_like


def threads() -> int:
    """Host threads that compute: the device does."""
    return 1


def upload(weight: Weight) -> DeviceWeight:
    """The weight on the device: see `residence`."""
    return residence.weight(weight)


def vector(values: F32) -> Any:
    """A norm weight or bias on the device: see `residence`."""
    return values if isinstance(values, torch.Tensor) else residence.vector(values)


def embedding(weight: Weight, token_ids: I64) -> Any:
    """Rows of `weight` (V, D) named by token_ids (T,), decoded: (T, D).

    Raises:
        ShapeError: an id is outside 0..V-1.
    """
    vocab_size, size = weight.shape
    if token_ids.size and not (token_ids.min() >= 0 and token_ids.max() < vocab_size):
        bad = token_ids[(token_ids < 0) | (token_ids >= vocab_size)][0]
        raise ShapeError(f"{weight.name}: token id {bad} is outside 0..{vocab_size - 1}")
    ids = inputs.token_ids.put(token_ids)
    if weight.type not in KERNEL_TYPES:
        decode.warn(weight.type)
        return decode.decode(weight.type, upload(weight).planes["raw"][ids])
    out = torch.empty((ids.shape[0], size), dtype=torch.float32, device=ids.device)
    planes = list(upload(weight).planes.values())
    if weight.type in (GgmlType.Q4_K, GgmlType.Q6_K):
        views = [torch.uint8, torch.uint8, torch.int8, torch.float16]
        planes = [plane.view(dtype) for plane, dtype in zip(planes, views, strict=False)]
    elif weight.type == GgmlType.Q8_0:
        planes[0] = planes[0].view(torch.int8)
    padded = [*planes, *planes[:1] * 3][:4]
    launch(
        embedding_kernel, (triton.cdiv(size, _BLOCK), 1, ids.shape[0]), warps=4,
        plane0=padded[0], plane1=padded[1], plane2=padded[2], plane3=padded[3], token_ids=ids, out=out, size=size,
        KIND=int(weight.type), BLOCK=_BLOCK,
    )  # fmt: skip
    return out


def matmul(x: Any, weight: Weight) -> Any:
    """x (T, K) times the transpose of `weight` (N, K): (T, N), in the precision of the model that runs.

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    return _product(x, weight, exact=residence.is_exact())


def exact_matmul(x: Any, weight: Weight) -> Any:
    """`matmul` with float32 activations throughout."""
    return _product(x, weight, exact=True)


def _product(x: Any, weight: Weight, *, exact: bool) -> Any:
    return products.matmul(settled(x).contiguous(), upload(weight), exact=exact)


def greedy(x: Any, weight: Weight) -> Any:
    """Index of the largest of matmul(x, weight) for each token: (T,) int32 on the device."""
    return products.largest(matmul(x, weight))


def slow_types(types: frozenset[GgmlType]) -> tuple[GgmlType, ...]:
    """Those of a model's weight types that have no kernel here; for the run record."""
    return tuple(sorted(types - KERNEL_TYPES))


def add_bias(x: Any, bias: F32) -> Any:
    """x (T, N) plus bias (N,) in every row; a sum that is not taken yet stays one."""
    if isinstance(x, Sum) and x.bias is None and x.residual is None and x.total is None:
        return Sum(x.parts, bias=vector(bias), shape=x.shape)
    return _sum(x, vector(bias))


def add(x: Any, y: Any) -> Any:
    """Sum of two arrays of one shape: the residual connection."""
    return _sum(x, y)


def _sum(x: Any, y: Any) -> Any:
    x, y = settled(x).contiguous(), settled(y).contiguous()
    out = torch.empty_like(x)
    size, period = x.numel(), y.numel()
    assert size == 0 or (period and size % period == 0), "a bias fits every row"
    launch(
        add_kernel, (triton.cdiv(size, _BLOCK), 1, 1), warps=4, x=x, y=y, z=out, size=size, period=period, BLOCK=_BLOCK
    )
    return out


def rms_norm(x: Any, weight: F32, *, eps: float) -> Any:
    """Divide each row of x (T, D) by its root mean square, then scale by weight (D,); x is added up on the way."""
    sums = lazy(x)
    _, tokens, size = sums.parts.shape
    out = torch.empty((tokens, size), dtype=torch.float32, device=sums.parts.device)
    is_sum = sums.total is None
    total = torch.empty_like(out) if is_sum else out
    is_narrow = tokens <= products.MATVEC_TOKENS
    form = activations.kept_with(out) if is_narrow and size % 32 == 0 else None
    xh, scale = (out, out) if is_narrow else activations.halves_kept_with(out)
    blocks = triton.next_power_of_2(triton.cdiv(size, 32))
    launch(
        rms_norm_kernel, (tokens, 1, 1), warps=8 if blocks >= 64 else 4,
        x=sums.parts, bias=or_else(sums.bias, out), residual=or_else(sums.residual, out), total=total,
        weight=vector(weight), y=out, **activations.arguments(form, out), xh=xh, scale=scale, size=size, eps=float(eps),
        **sums.strides, **sums.flags, BLOCKS=blocks, EIGHT_BITS=form is not None, HALVES=not is_narrow,
    )  # fmt: skip
    if is_sum and isinstance(x, Sum):
        x.total = total
    return out


def swiglu(gate: Any, up: Any) -> Any:
    """SiLU of gate (T, F) times up (T, F)."""
    return fused.swiglu(settled(gate).contiguous(), settled(up).contiguous())


def rope(x: Any, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> Any:
    """Rotate the pairs (i, i + Dh/2) of each head by position * theta**(-2i/Dh) radians.

    Args:
        x: (T, H, Dh); Dh even.
        positions: (T,), absolute, 0-based.
        rotary: other pairs, and scaled angles.

    Raises:
        ShapeError: Dh is odd, or positions does not have T entries, or `rotary` is for another Dh.
    """
    tokens, heads, head_dim = x.shape
    if head_dim % 2 or positions.shape != (tokens,):
        raise ShapeError(f"rope: head dim {head_dim} must be even and positions {positions.shape} be ({tokens},)")
    x = settled(x).contiguous()
    out = torch.empty_like(x)
    half = head_dim // 2
    launch(
        rope_kernel,
        (tokens, 1, 1),
        warps=4,
        x=x,
        positions=inputs.positions.put(positions),
        quarters=quarters(head_dim, float(theta), str(x.device), rotary),
        y=out,
        magnitude=float(rotary.magnitude),
        heads=heads,
        half=half,
        ADJACENT=rotary.adjacent,
        HEADS=triton.next_power_of_2(heads),
        HALF=triton.next_power_of_2(half),
    )
    return out


def attention(q: Any, k: Any, v: Any, positions: I64, *, window: int | None = None) -> Any:
    """Causal attention with grouped key and value heads.

    Args:
        q: (T, H, Dh), rotated.
        k: (S, Hkv, Dh) float16, rotated; slot s holds position s; slots after the last position are not read.
        v: (S, Hkv, Dh) float16.
        positions: (T,), rising by 1; the query at position p sees slots 0..p.
        window: if given, only the last `window` of them, its own included.

    Returns:
        (T, H, Dh).

    Raises:
        ShapeError: H is not a multiple of Hkv, or a query's own position is not in the cache.
    """
    tokens, heads, head_dim = q.shape
    slots, kv_heads, _ = k.shape
    if heads % kv_heads or (tokens and int(positions.max()) >= slots):
        raise ShapeError(f"attention: {heads} heads over {kv_heads} kv heads, {slots} cached slots")
    assert k.dtype == v.dtype == torch.float16, "the cache is float16"
    q = settled(q).contiguous()
    out = torch.empty((tokens, heads * head_dim), dtype=torch.float32, device=q.device)
    config = configs.table().attention
    dim = max(16, triton.next_power_of_2(head_dim))
    shared = {
        "q": q, "keys": k, "values": v, "positions": inputs.positions.put(positions),
        "scale": _LOG2_E * head_dim**-0.5, "window": min(window or _ALL, _ALL),
        "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim,
        "DIM": dim, "SLOTS": config.slots, "warps": config.warps,
    }  # fmt: skip
    if tokens > 1:
        grid = (triton.cdiv(tokens, config.tokens), heads, 1)
        launch(attention_prefill, grid, out=out, tokens=tokens, TOKENS=config.tokens, **shared)
        return Sum(out[None], total=out, shape=(tokens, heads, head_dim))
    parts = config.parts
    part = torch.empty((tokens, heads, parts, head_dim), dtype=torch.float32, device=q.device)
    part_max, part_sum = (torch.empty((tokens, heads, parts), dtype=torch.float32, device=q.device) for _ in range(2))
    form = activations.kept_with(out) if head_dim % 32 == 0 else None
    group = max(16, triton.next_power_of_2(heads // kv_heads))
    launch(
        attention_decode, (kv_heads, parts, tokens),
        part=part, part_max=part_max, part_sum=part_sum, GROUP=group, **shared,
    )  # fmt: skip
    launch(
        attention_merge, (tokens * heads, 1, 1), warps=4,
        part=part, part_max=part_max, part_sum=part_sum, out=out, **activations.arguments(form, out),
        head_dim=head_dim, PARTS=parts, DIM=dim, EIGHT_BITS=form is not None,
    )  # fmt: skip
    return Sum(out[None], total=out, shape=(tokens, heads, head_dim))
