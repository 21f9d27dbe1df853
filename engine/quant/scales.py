"""Scales of packed blocks, looked at before a model runs: one bad half turns every answer into noise, silently.

A float16 scale that is infinite or NaN poisons its row; a tensor whose scales are all zero is a tensor that was never
written. Plain numbers (F32, F16, BF16) have no scales: there every weight is looked at, and zeros are allowed.
"""

from __future__ import annotations

import numpy as np

from engine.errors import GgufError
from engine.gguf.display import escape
from engine.gguf.reader import GgufFile
from engine.gguf.tensors import TensorInfo
from engine.quant import codec
from engine.quant.blocks import Bytes

# 64 MiB of packed blocks at once: the copies of their scales stay below 1 MiB.
_BYTES_AT_ONCE = 1 << 26


def check_scales(file: GgufFile) -> None:
    """Look at every scale of every tensor; reads the whole file, at about the speed of the disk.

    Raises:
        GgufError: GGUF-M14, a scale or plain weight is not finite, or all scales of a tensor are zero; GGUF-M15, the
            file changed meanwhile.
    """
    for info in file.tensors.values():
        file.check_unchanged()
        _check_tensor(file, info)
    file.check_unchanged()


def _check_tensor(file: GgufFile, info: TensorInfo) -> None:
    module = codec(info.type)
    fields = module.SCALES
    blocks = file.data(info.name).reshape(-1, module.TYPE_SIZE)
    nothing_set = bool(fields)
    step = max(1, _BYTES_AT_ONCE // module.TYPE_SIZE)
    for start in range(0, len(blocks), step):
        part = blocks[start : start + step]
        bad = ~np.isfinite(module.decode(part)[:, 0]) if not fields else ~_finite(part, fields)
        if bad.any():
            index = start + int(bad.argmax())
            what = f"block {index} has a non-finite scale" if fields else f"weight {index} is not finite"
            raise _error(file, info, info.offset + index * module.TYPE_SIZE, what)
        nothing_set = nothing_set and not any(part[:, f : f + 2].copy().view("<u2").astype(bool).any() for f in fields)
    if nothing_set:
        raise _error(file, info, info.offset, f"the scales of all {len(blocks)} blocks are zero; it was never written")


def _finite(blocks: Bytes, fields: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Per block, whether the exponent of every float16 scale is below that of infinity."""
    bits = np.stack([blocks[:, f : f + 2].copy().view("<u2")[:, 0] for f in fields])
    finite: np.ndarray[tuple[int], np.dtype[np.bool_]] = ((bits & 0x7C00) != 0x7C00).all(axis=0)
    return finite


def _error(file: GgufFile, info: TensorInfo, offset: int, what: str) -> GgufError:
    return GgufError(
        f"{escape(file.path.name)}: GGUF-M14 at byte {offset}: tensor {escape(info.name)!r}: {what}; "
        "the file is damaged, fetch or convert it again",
        code="GGUF-M14",
        offset=offset,
    )
