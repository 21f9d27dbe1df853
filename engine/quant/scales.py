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

_BYTES_AT_ONCE = 1 << 20
_HALF_EXPONENT = 0x7C00


def check_scales(file: GgufFile) -> None:
    """Look at every scale of every tensor; reads the whole file, and keeps none of it.

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
    fields, size = module.SCALES, module.TYPE_SIZE
    written, first = not fields, 0
    for part in file.read(info.name, max(1, _BYTES_AT_ONCE // size) * size):
        blocks = part.reshape(-1, size)
        bad = np.zeros(len(blocks), np.bool_) if fields else ~np.isfinite(module.decode(blocks)[:, 0])
        for field in fields:  # float16 at an even byte of a block of even size
            half = part.view("<u2").reshape(len(blocks), -1)[:, field // 2]
            bad |= (half & _HALF_EXPONENT) == _HALF_EXPONENT
            written = written or bool(half.any())
        if bad.any():
            index = first + int(bad.argmax())
            what = f"block {index} has a non-finite scale" if fields else f"weight {index} is not finite"
            raise _error(file, info, info.offset + index * size, what)
        first += len(blocks)
    if not written:
        raise _error(file, info, info.offset, f"the scales of all {first} blocks are zero; it was never written")


def _error(file: GgufFile, info: TensorInfo, offset: int, what: str) -> GgufError:
    return GgufError(
        f"{escape(file.path.name)}: GGUF-M14 at byte {offset}: tensor {escape(info.name)!r}: {what}; "
        "the file is damaged, fetch or convert it again",
        code="GGUF-M14",
        offset=offset,
    )
