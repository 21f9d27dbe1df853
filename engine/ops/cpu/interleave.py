"""Weights interleaved by 8 rows (16 with AVX-512): what the integer kernels read.

Rows form groups of 8 or 16, as many as a vector has 32-bit lanes. A group starts at a cache line and holds, block by
block along the columns, the blocks of its rows, dword by dword. What is not a whole dword, the float16 scales of some
types, stands before the dwords of two blocks at a time, so that a product reads addresses that only grow:

    halves of rows 0..7 for block 0, for block 1         half a vector each; for types that have them
    dwords 0 of rows 0..7, dwords 1 of rows 0..7, ...    one vector each: lane r is row r; vectors are aligned
    the same for block 1; then halves for blocks 2 and 3, ...

    type   block  dwords                                 halves
    Q4_K     144  36: d and dmin, 3 of scales, 32 qs     -
    Q5_K     176  44: d and dmin, 3 of scales, 8 qh, 32  -
    Q6_K     210  52: 4 scales; 4 x (4, 4 ql and 4 qh)   d
    Q8_0      34   8: qs                                 d
    Q5_0      22   5: qh, 4 qs                           d

Q6_K's dwords come in the order in which they are used: per 16 of the 32 weights that share bytes of qh, those of ql
for quarters 0 and 2, of ql for quarters 1 and 3, and of qh. The bytes are those of the file, and as many; only qh of
Q5_0 is rearranged within itself: bit g of byte j becomes the fifth bit of weight 4g + j. Missing rows of the last
group are zero.
"""

from __future__ import annotations

import mmap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.gguf.types import GgmlType, layout
from engine.ops.cpu.arena import Arena
from engine.ops.cpu.machine_code import kernel_function
from engine.ops.protocol import U8, Weight


def _q6_k_order() -> list[int]:
    """ql is dwords 0..31 of a block, qh 32..47, the scales 48..51; drawing in `engine.quant.q6_k`."""
    order = [48, 49, 50, 51]
    for half in range(2):
        for part in range(2):
            for start in (16 * half, 16 * half + 8, 32 + 8 * half):
                order += range(start + 4 * part, start + 4 * part + 4)
    return order


# bytes of a block at which its dwords start, in the order of the group; first byte of the half (or -1)
_FIELDS = {
    GgmlType.Q4_K: (4 * np.arange(36), -1),
    GgmlType.Q5_K: (4 * np.arange(44), -1),
    GgmlType.Q6_K: (4 * np.array(_q6_k_order()), 208),
    GgmlType.Q8_0: (2 + 4 * np.arange(8), 0),
    GgmlType.Q5_0: (2 + 4 * np.arange(5), 0),
}
TYPES = frozenset(_FIELDS)
"""Types that have an interleaved form."""

# Pages of the mapped file that are resident at once while a weight is interleaved, per thread.
_BYTES_AT_ONCE = 4 << 20
_LINE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Interleaved:
    """One weight in groups of `lanes` rows."""

    name: str
    type: GgmlType
    shape: tuple[int, int]
    lanes: int
    data: np.ndarray[tuple[int], np.dtype[np.uint32]]
    """Starts at a cache line."""

    @property
    def groups(self) -> int:
        return -(-self.shape[0] // self.lanes)

    @property
    def group_bytes(self) -> int:
        return self.data.nbytes // max(1, self.groups)


def interleave(weight: Weight, lanes: int, threads: int, arena: Arena | None = None) -> Interleaved:
    """Rearrange a weight in groups of `lanes` rows; pages of a mapped file are given back as soon as they were read.

    Args:
        arena: where the result is put; default: memory of its own.
    """
    rows, columns = weight.shape
    block_size, type_size = layout(weight.type)
    blocks = columns // block_size
    groups = -(-rows // lanes)
    group_bytes = -(-lanes * blocks * type_size // _LINE) * _LINE
    data = (arena or Arena()).dwords(groups * group_bytes // 4)
    raw = np.ascontiguousarray(weight.data)
    dword_at, half_at = _FIELDS[weight.type]
    step = max(1, _BYTES_AT_ONCE // max(1, lanes * blocks * type_size))
    of_rows = (raw.ctypes.data, rows, blocks, type_size, dword_at.ctypes.data, len(dword_at), half_at)
    of_groups = (weight.type is GgmlType.Q5_0, lanes, data.ctypes.data, group_bytes // 4, groups, step)
    words = np.array([*of_rows, *of_groups], np.int64)
    rearrange, release = kernel_function("interleave", arguments=2), Release(weight.data)

    def part(number: int) -> None:
        rearrange(words.ctypes.data, number)
        first, last = (min(rows, bound * step * lanes) * blocks * type_size for bound in (number, number + 1))
        release(first, last)

    parts = range(-(-groups // step))
    if threads > 1 and len(parts) > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, parts))
    else:
        for number in parts:
            part(number)
    return Interleaved(weight.name, weight.type, weight.shape, lanes, data)


class Release:
    """Tells the kernel that pages of the mapped file are no longer needed; they come back if read again."""

    def __init__(self, view: U8) -> None:
        base: Any = view
        while isinstance(base, np.ndarray):
            whole, base = base, base.base
        base = base.obj if isinstance(base, memoryview) else base
        self._map = base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
        self._start = view.ctypes.data - whole.ctypes.data if self._map is not None else 0

    def __call__(self, first: int, last: int) -> None:
        """Release the whole pages within bytes first : last of the view."""
        if self._map is None:
            return
        start = -(-(self._start + first) // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (self._start + last) // mmap.PAGESIZE * mmap.PAGESIZE - start
        if length > 0:
            self._map.madvise(mmap.MADV_DONTNEED, start, length)
