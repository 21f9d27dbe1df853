"""Steps of a layer that a backend may do in one go; a model is written once with them, whatever the backend.

Each is defined here by the operations of `engine.ops.protocol`. A backend that has a function of the same name does it
by itself, with the same arguments after `ops`, and gives the same values: every array that a tap names among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.ops.protocol import F32, I64, Forward, KeyValueStore, Ops, Weight
from engine.ops.rotary import PLAIN, Rotary


def one_token(ops: Ops, forward: Forward, ids: I64, positions: I64, kv_cache: KeyValueStore) -> F32:
    """The forward of one token, which ends in logits (1, V); a backend may note what it does and do it again.

    Args:
        forward: a method of the model.
        ids: (1,).
        positions: (1,), those that the cache holds.
    """
    if own := _own(ops, "one_token"):
        found: F32 = own(forward, ids, positions, kv_cache)
        return found
    return forward(ids, positions, kv_cache)


def multiply_all(ops: Ops, x: F32, weights: Sequence[Weight]) -> Sequence[F32]:
    """x (T, K) times the transpose of each weight (N_i, K): (T, N_i) each.

    Raises:
        ShapeError: the rows of x and of a weight differ in length.
    """
    if own := _own(ops, "multiply_all"):
        found: Sequence[F32] = own(x, weights)
        return found
    return tuple(ops.matmul(x, weight) for weight in weights)


def rope_append(
    ops: Ops,
    q: F32,
    k: F32,
    v: F32,
    positions: I64,
    kv_cache: KeyValueStore,
    layer: int,
    *,
    theta: float,
    rotary: Rotary = PLAIN,
) -> tuple[F32, F32]:
    """Turn q (T, H, Dh) and k (T, Hkv, Dh) by their positions, append k and v to the cache; q and k turned.

    Raises:
        ShapeError: Dh is odd, positions does not have T entries, or k and v do not fit the cache.
        ContextError: the cache has no room for T more positions.
    """
    how: dict[str, Any] = {"theta": theta} if rotary == PLAIN else {"theta": theta, "rotary": rotary}
    if own := _own(ops, "rope_append"):
        found: tuple[F32, F32] = own(q, k, v, positions, kv_cache, layer, **how)
        return found
    q, k = ops.rope(q, positions, **how), ops.rope(k, positions, **how)
    kv_cache.append(layer, k, v)
    return q, k


def add_product(ops: Ops, residual: F32, x: F32, weight: Weight) -> tuple[F32, F32]:
    """x (T, K) times the transpose of `weight` (N, K), and that plus the residual (T, N).

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    if own := _own(ops, "add_product"):
        found: tuple[F32, F32] = own(residual, x, weight)
        return found
    product = ops.matmul(x, weight)
    return product, ops.add(residual, product)


def gated_product(ops: Ops, x: F32, gate: Weight, up: Weight) -> tuple[F32, F32, F32]:
    """x (T, K) times the transposes of gate and up (F, K), and SwiGLU of the two: (T, F) each.

    Raises:
        ShapeError: the rows of x and of a weight differ in length.
    """
    if own := _own(ops, "gated_product"):
        found: tuple[F32, F32, F32] = own(x, gate, up)
        return found
    left, right = ops.matmul(x, gate), ops.matmul(x, up)
    return left, right, ops.swiglu(left, right)


def _own(ops: Ops, name: str) -> Any:
    return getattr(ops, name, None)
