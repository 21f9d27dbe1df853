"""Which axis, and which half, is which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.faults.seeding import Seeded, on_ops, on_tensor_infos
from engine.gguf.cursor import Cursor
from engine.gguf.tensors import TensorInfo
from engine.gguf.types import layout
from engine.ops.protocol import F32


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
