"""Which axis, and which half, is which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_ops, on_tensor_infos, seeded
from engine.gguf.cursor import Cursor
from engine.gguf.tensors import TensorInfo
from engine.gguf.types import layout
from engine.models.tensors import TensorTable
from engine.ops.protocol import F32, Weight


def gguf_dims_reversed() -> Seeded:
    """Dimensions keep the order of the file, where whole blocks allow it."""

    def change(cursor: Cursor, info: TensorInfo, alignment: int) -> TensorInfo:  # noqa: ARG001
        return info if info.shape[0] % layout(info.type)[0] else replace(info, shape=info.shape[::-1])

    return on_tensor_infos(change)


def swiglu_gate_up_swapped() -> Seeded:
    """The gate is multiplied, the other half is gated."""

    def wrong(swiglu: Any, gate: F32, up: F32) -> Any:
        return swiglu(up, gate)

    return on_ops("swiglu", wrong)


def heads_before_tokens() -> Seeded:
    """The attention's output is read as (H, T, Dh) where it is (T, H, Dh)."""

    def wrong(attention: Any, q: F32, *args: Any, **limits: Any) -> F32:
        out: F32 = attention(q, *args, **limits)
        return np.ascontiguousarray(out.transpose(1, 0, 2)).reshape(out.shape)

    return on_ops("attention", wrong)


def k_and_v_swapped() -> Seeded:
    """Keys are made by the weights of values, and values by those of keys: a fused tensor split in wrong order."""

    def wrong(matrix: Any, table: TensorTable, name: str, shape: tuple[int, int]) -> Any:
        other = {"attn_k": "attn_v", "attn_v": "attn_k"}
        place, _, rest = name.rpartition("attn_")[2].partition(".")
        key = f"attn_{place}"
        return matrix(table, name.replace(key, other[key]) if rest and key in other else name, shape)

    return seeded((TensorTable, "matrix", wrong))


def k_rows_permuted() -> Seeded:
    """Rows of K lie as for neighbouring pairs of another number of heads.

    Seen in llama.cpp #3364, #22611, gpt-neox #1345.
    """

    def wrong(matrix: Any, table: TensorTable, name: str, shape: tuple[int, int]) -> Weight:
        weight: Weight = matrix(table, name, shape)
        if not name.endswith("attn_k.weight"):
            return weight
        order = np.arange(shape[0]).reshape(2, -1).T.ravel()
        return replace(weight, data=np.ascontiguousarray(weight.data[order]))

    return seeded((TensorTable, "matrix", wrong))


def output_from_the_embedding() -> Seeded:
    """Logits are products with the embedding although the file has an output matrix."""

    def wrong(contains: Any, table: TensorTable, name: str) -> bool:
        return bool(contains(table, name)) and name != "output.weight"

    return seeded((TensorTable, "__contains__", wrong))
