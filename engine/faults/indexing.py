"""Where something is: offsets, heads, rows, columns."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_ops, on_tensor_infos, seeded
from engine.gguf import header
from engine.gguf.cursor import Cursor
from engine.gguf.tensors import TensorInfo
from engine.models.decoder import Decoder
from engine.ops.protocol import F32, I64, Weight


def gguf_reader_wrong_offset() -> Seeded:
    """Tensors are read one alignment too late, where the file goes on that far."""

    def change(cursor: Cursor, info: TensorInfo, alignment: int) -> TensorInfo:
        fits = info.offset + alignment + info.size_bytes <= cursor.size_bytes
        return replace(info, offset=info.offset + alignment) if fits else info

    return on_tensor_infos(change)


def gqa_wrong_head_mapping() -> Seeded:
    """Query heads take the kv heads in turn, h % Hkv, and not in groups, h // (H / Hkv).

    Seen in jax-js #180, onnx #7274.
    """

    def wrong(attention: Any, q: F32, k: F32, v: F32, positions: I64, **limits: Any) -> F32:
        order = np.argsort(np.arange(q.shape[1]) % k.shape[1], kind="stable")
        out = np.empty_like(q)
        out[:, order] = attention(np.ascontiguousarray(q[:, order]), k, v, positions, **limits)
        return out

    return on_ops("attention", wrong)


def gguf_counts_cut_to_32_bits() -> Seeded:
    """The upper half of every 64-bit number is lost, as in a reader that multiplies in 32 bits."""

    def wrong(u64: Any, cursor: Cursor, code: str, what: str) -> int:
        found: int = u64(cursor, code, what)
        return found & 0xFFFF_FFFF

    return seeded((Cursor, "u64", wrong))


def gguf_arrays_lose_their_last() -> Seeded:
    """Every array of the metadata ends one element early."""

    def wrong(read: Any, *arguments: Any) -> Any:
        entries: dict[str, Any] = dict(read(*arguments))
        return {key: replace(e, value=e.value[:-1]) if e.element_type else e for key, e in entries.items()}

    return seeded((header, "read_metadata", wrong))


def cpu_matmul_drops_tail() -> Seeded:
    """The last 16 columns of a row do not take part in the product."""

    def wrong(matmul: Any, x: F32, weight: Weight) -> Any:
        kept = x.copy()
        kept[:, -16:] = 0
        return matmul(kept, weight)

    return seeded((import_module("engine.ops.cpu"), "matmul", wrong))


def integer_rows_shifted() -> Seeded:
    """Rows of the last, unfinished group are the ones before them."""

    def wrong(interleaved: Any, weight: Weight, lanes: int, *rest: Any) -> Any:
        rows = np.maximum(np.arange(len(weight.data)) - (len(weight.data) % lanes != 0), 0)
        return interleaved(replace(weight, data=np.ascontiguousarray(weight.data[rows])), lanes, *rest)

    return seeded((import_module("engine.ops.cpu.interleave"), "interleave", wrong))


def embedding_of_the_neighbour() -> Seeded:
    """Every token gets the row of the one before it."""

    def wrong(embedding: Any, weight: Weight, token_ids: I64) -> Any:
        return embedding(weight, np.maximum(token_ids - 1, 0))

    return on_ops("embedding", wrong)


def logits_of_the_first_token() -> Seeded:
    """Where the logits of the last token are asked for, those of the first are given."""

    def wrong(forward: Any, model: Decoder, *args: Any, last_only: bool = False, **options: Any) -> Any:
        logits = forward(model, *args, **options)
        return logits[:1] if last_only else logits

    return seeded((Decoder, "forward", wrong))
