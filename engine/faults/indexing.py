"""Where something is: offsets, heads, rows, columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_ops, on_tensor_infos
from engine.gguf.cursor import Cursor
from engine.gguf.tensors import TensorInfo
from engine.ops.protocol import F32, I64


def gguf_reader_wrong_offset() -> Seeded:
    """Tensors are read one alignment too late, where the file goes on that far."""

    def change(cursor: Cursor, info: TensorInfo, alignment: int) -> TensorInfo:
        fits = info.offset + alignment + info.size_bytes <= cursor.size_bytes
        return replace(info, offset=info.offset + alignment) if fits else info

    return on_tensor_infos(change)


def gqa_wrong_head_mapping() -> Seeded:
    """Query heads take the kv heads in turn, h % Hkv, and not in groups, h // (H / Hkv)."""

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> F32:
        order = np.argsort(np.arange(q.shape[1]) % k.shape[1], kind="stable")
        out = np.empty_like(q)
        out[:, order] = attention(np.ascontiguousarray(q[:, order]), k, v, positions, **limits)
        return out

    return on_ops("attention", wrong)
