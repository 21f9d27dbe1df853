"""Blocks of the model under test, read past the engine's own reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from falsifiers.support import block_formats, gguf_parse

_TYPES = {"Q8_0": 8, "Q4_K": 12, "Q6_K": 14}


def first_and_last(path: Path, type_name: str) -> npt.NDArray[np.uint8]:
    """The first and the last block of each tensor of one type: (blocks, type_size) uint8, none if there is none."""
    kind = _TYPES[type_name]
    size = gguf_parse.BLOCKS[kind][1]
    found = [tensor for tensor in gguf_parse.parse(path).tensors.values() if tensor.type == kind]
    raw = bytearray()
    with path.open("rb") as file:
        for tensor in found:
            for at in (tensor.offset, tensor.offset + tensor.size_bytes - size):
                file.seek(at)
                raw += file.read(size)
    return np.frombuffer(bytes(raw), np.uint8).reshape(-1, size)


def decoded_rows(path: Path, name: str, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Numbers of at most `count` rows of a Q4_K or Q6_K tensor, first and last among them, and their weights."""
    tensor = gguf_parse.parse(path).tensors[name]
    read = {12: block_formats.q4_k, 14: block_formats.q6_k}[tensor.type]
    size = gguf_parse.BLOCKS[tensor.type][1]
    rows = np.unique(np.linspace(0, tensor.shape[0] - 1, count).astype(np.int64))
    row_bytes = tensor.size_bytes // tensor.shape[0]
    weights = []
    with path.open("rb") as file:
        for row in rows.tolist():
            file.seek(tensor.offset + row * row_bytes)
            raw = file.read(row_bytes)
            weights.append([weight for at in range(0, row_bytes, size) for weight in read(raw[at : at + size])])
    return rows, np.array(weights)
