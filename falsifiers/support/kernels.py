"""Weights as a matmul kernel reads them: multiplied by the identity, so that every product but one is zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.gguf.types import GgmlType
from engine.ops.protocol import Ops, Weight


def weights_read(ops: Ops, kind: GgmlType, raw: npt.NDArray[np.uint8], columns: int) -> npt.NDArray[np.float32]:
    """Rows (N, row_bytes) of one type, as `ops.matmul` sees them: (N, columns).

    A sum of one weight and zeros is that weight exactly, in any order and precision.
    """
    weight = Weight("rows", kind, (len(raw), columns), raw)
    return ops.matmul(np.eye(columns, dtype=np.float32), weight).T
