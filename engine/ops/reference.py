"""The definition of the model's arithmetic: plain numpy, float32, one page.

    embedding   y[t]     = W[token_ids[t]]
    matmul      y[t, n]  = sum_k x[t, k] * W[n, k]
    add_bias    y[t, n]  = x[t, n] + bias[n]
    add         y        = x + y
    rms_norm    y[t, i]  = weight[i] * x[t, i] / sqrt(mean_i(x[t, i]^2) + eps)
    rope        the pair (x[i], x[i + Dh/2]) of each head turns by position * theta^(-2i/Dh) radians (`ops.rotary`)
    attention   y[t, h]  = sum_s softmax_s(q[t, h] . k[s, g] / sqrt(Dh)) * v[s, g],  s <= position[t],  g = h // (H/Hkv)
                           with a window besides  s > position[t] - window
    swiglu      y        = gate / (1 + exp(-gate)) * up

Not here: speed. Weights are decoded a slice of rows at a time and forgotten, so no float32 copy of the model exists.
"""

from __future__ import annotations

import os

import numpy as np

from engine import quant
from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops.protocol import F32, I64, Weight
from engine.ops.rotary import PLAIN, Rotary, frequencies

name = "reference"
precision = "float32"

# 2^20 decoded weights are 4 MiB: small beside any model, large enough that the slice's overhead does not show.
_DECODED_WEIGHTS_AT_ONCE = 1 << 20


def threads() -> int:
    """Cores the BLAS behind numpy may use; numpy does not tell how many it does use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slow_types(types: frozenset[GgmlType]) -> tuple[GgmlType, ...]:
    """Those of a model's weight types that this backend leaves to a slower one; for the run record. Here none."""
    return tuple(sorted(types - set(quant.SUPPORTED)))


def embedding(weight: Weight, token_ids: I64) -> F32:
    """Rows of `weight` (V, D) named by token_ids (T,), decoded: (T, D).

    Raises:
        ShapeError: an id is outside 0..V-1.
    """
    weight.check_rows(token_ids)
    return quant.decode(weight.type, weight.data[token_ids])


def matmul(x: F32, weight: Weight) -> F32:
    """x (T, K) times the transpose of `weight` (N, K): (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    rows, columns = weight.shape
    if x.shape[1] != columns:
        raise ShapeError(f"{weight.name}: rows have {columns} weights, the activation has {x.shape[1]} values")
    out = np.empty((x.shape[0], rows), dtype=np.float32)
    step = max(1, _DECODED_WEIGHTS_AT_ONCE // columns)
    for start in range(0, rows, step):
        decoded = quant.decode(weight.type, weight.data[start : start + step])
        np.matmul(x, decoded.T, out=out[:, start : start + step])
    return out


def add_bias(x: F32, bias: F32) -> F32:
    """x (T, N) plus bias (N,) in every row."""
    return np.add(x, bias, dtype=np.float32)


def add(x: F32, y: F32) -> F32:
    """Sum of two arrays of one shape: the residual connection."""
    return np.add(x, y, dtype=np.float32)


def rms_norm(x: F32, weight: F32, *, eps: float) -> F32:
    """Divide each row of x (T, D) by its root mean square, then scale by weight (D,)."""
    # The mean is summed in float32 by numpy's pairwise sum: 4096 squares lose at most about 13 roundings.
    mean_square = np.mean(np.square(x), axis=-1, keepdims=True, dtype=np.float32)
    normalised = x / np.sqrt(mean_square + np.float32(eps))
    return np.multiply(normalised, weight, dtype=np.float32)


def rope(x: F32, positions: I64, *, theta: float, rotary: Rotary = PLAIN) -> F32:
    """Rotate the pairs (i, i + Dh/2) of each head by position * theta**(-2i/Dh) radians.

    Args:
        x: (T, H, Dh); Dh even.
        positions: (T,), absolute, 0-based.
        rotary: other pairs, and scaled angles.

    Raises:
        ShapeError: Dh is odd, or positions does not have T entries, or `rotary` is for another Dh.
    """
    tokens, _, head_dim = x.shape
    if head_dim % 2 or positions.shape != (tokens,):
        raise ShapeError(f"rope: head dim {head_dim} must be even and positions {positions.shape} be ({tokens},)")
    half = head_dim // 2
    # float64 angles: at position 100,000 a float32 angle is already wrong by 0.004 radians.
    angles = positions[:, None] * frequencies(head_dim, theta, rotary)
    cos = (np.cos(angles) * rotary.magnitude).astype(np.float32)[:, None, :]
    sin = (np.sin(angles) * rotary.magnitude).astype(np.float32)[:, None, :]
    places = (slice(0, None, 2), slice(1, None, 2)) if rotary.adjacent else (slice(half), slice(half, None))
    first, second = x[..., places[0]], x[..., places[1]]
    out = np.empty_like(x)
    out[..., places[0]] = first * cos - second * sin
    out[..., places[1]] = second * cos + first * sin
    return out


def attention(q: F32, k: F32, v: F32, positions: I64, *, window: int | None = None) -> F32:
    """Causal attention with grouped key and value heads.

    Args:
        q: (T, H, Dh), rotated.
        k: (S, Hkv, Dh), rotated; slot s holds position s.
        v: (S, Hkv, Dh).
        positions: (T,); the query at position p sees slots 0..p.
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
    grouped = q.reshape(tokens, kv_heads, heads // kv_heads, head_dim).transpose(1, 2, 0, 3)  # (Hkv, H/Hkv, T, Dh)
    keys = k.transpose(1, 2, 0)[:, None]  # (Hkv, 1, Dh, S)
    values = v.transpose(1, 0, 2)[:, None]  # (Hkv, 1, S, Dh)
    scores = np.matmul(grouped, keys) * np.float32(head_dim**-0.5)
    distance = positions[:, None] - np.arange(slots)
    seen = (distance >= 0) & (distance < (slots if window is None else window))
    scores = np.where(seen, scores, np.float32(-np.inf))
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))  # the maximum is subtracted: no overflow
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    mixed = np.matmul(weights, values)  # (Hkv, H/Hkv, T, Dh)
    return np.ascontiguousarray(mixed.transpose(2, 0, 1, 3).reshape(tokens, heads, head_dim), dtype=np.float32)


def swiglu(gate: F32, up: F32) -> F32:
    """SiLU of gate (T, F) times up (T, F)."""
    with np.errstate(over="ignore"):  # exp(-gate) = inf for gate < -88, and gate / inf is the right limit, -0
        return np.multiply(gate / (np.float32(1) + np.exp(-gate)), up, dtype=np.float32)
