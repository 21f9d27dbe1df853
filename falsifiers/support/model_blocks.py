"""Blocks of the model under test, read past the engine's own reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from falsifiers.support import gguf_parse

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
