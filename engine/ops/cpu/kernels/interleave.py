"""Rows of a weight to groups, dword by dword; drawn in `engine.ops.cpu.interleave`."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from engine.ops.cpu.kernels.compile import copied
from engine.ops.cpu.kernels.llvm import bytes_at, dwords_at, integers_at, load_u16, load_u32
from engine.ops.cpu.kernels.products import Job


@copied
def _spread(bits: Any) -> Any:
    """Bit 4g + j to bit g of byte j."""
    found = np.uint32(0)
    for index in range(32):
        found |= ((bits >> np.uint32(index)) & np.uint32(1)) << np.uint32(8 * (index & 3) + (index >> 2))
    return found


def interleave() -> Job:
    """Words: raw, N, blocks of a row, bytes of a block, where its dwords start (int64), their number, where its half
    starts or -1, whether bits are spread (Q5_0), lanes, out, dwords of a group, groups, groups of a part."""

    def run(words: int, part: int) -> None:
        raw_at, rows, blocks, type_size, places_at, dwords, half_at = carray(integers_at(words), 7)
        spread, lanes, out_at, group_dwords, groups, step = carray(integers_at(words + 56), 6)
        row_bytes = blocks * type_size
        raw = carray(bytes_at(raw_at), (rows * row_bytes,))
        dword_at = carray(integers_at(places_at), (dwords,))
        out = carray(dwords_at(out_at), (groups * group_dwords,))
        first, last = part * step, min(groups, (part + 1) * step)
        for group in range(first, last):
            here = min(lanes, rows - group * lanes)
            for block in range(blocks):
                to = group * group_dwords + block * dwords * lanes
                if half_at >= 0:
                    to += (block // 2 + 1) * lanes
                at = group * lanes * row_bytes + block * type_size
                for row in range(lanes):
                    source = at + row * row_bytes
                    if row < here:
                        for dword in range(dwords):
                            out[to + lanes * dword + row] = load_u32(raw, source + dword_at[dword])
                        if spread:
                            out[to + row] = _spread(out[to + row])
                    else:
                        for dword in range(dwords):
                            out[to + lanes * dword + row] = np.uint32(0)
                if half_at >= 0:
                    to = group * group_dwords + block // 2 * (2 * dwords + 1) * lanes + (block % 2) * (lanes // 2)
                    for pair in range(lanes // 2):
                        both = np.uint32(0)
                        if 2 * pair < here:
                            both |= np.uint32(load_u16(raw, at + 2 * pair * row_bytes + half_at))
                        if 2 * pair + 1 < here:
                            both |= np.uint32(load_u16(raw, at + (2 * pair + 1) * row_bytes + half_at)) << np.uint32(16)
                        out[to + pair] = both

    return run
