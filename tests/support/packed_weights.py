"""Random valid blocks of every type, for types that the engine reads and does not write."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine import quant
from engine.gguf.types import GgmlType
from engine.ops.protocol import Weight


def random_packed(type_: GgmlType, rows: int, columns: int, rng: np.random.Generator) -> Weight:
    """A read-only weight of random quants whose float16 scales lie in 2^-7..2^-3, with either sign."""
    codec = quant.CODECS[type_]
    if not codec.SCALES:
        data: npt.NDArray[Any] = quant.encode(type_, rng.standard_normal((rows, columns)).astype(np.float32))
    else:
        blocks = rows * columns // codec.BLOCK_SIZE
        packed = rng.integers(0, 256, (blocks, codec.TYPE_SIZE), dtype=np.uint8)
        for start in codec.SCALES:
            scales = np.exp2(rng.uniform(-7, -3, blocks)) * rng.choice([-1, 1], blocks)
            packed[:, start : start + 2] = scales.astype("<f2").view(np.uint8).reshape(-1, 2)
        data = packed.reshape(rows, columns // codec.BLOCK_SIZE * codec.TYPE_SIZE)
    data.flags.writeable = False
    return Weight("w", type_, (rows, columns), data)
