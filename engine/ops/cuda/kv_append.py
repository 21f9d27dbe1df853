"""New keys and values into the cache of one layer, rounded to float16.

    keys[positions[t]] = k[t]        values[positions[t]] = v[t]

Repeats the assignment of `kv_cache.KvCache`, with one rounding to float16, halves to even; beyond 65504 it is infinite.
Positions are read on the device, so that a captured graph writes to the next slot at each replay.
The launcher guarantees: k, v (T, W) and keys, values (S, W) are contiguous, every position is below S.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def kv_append(
    k: tl.tensor,
    v: tl.tensor,
    positions: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    width: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """k, v (T, W) float32; positions (T,) int64; keys, values (S, W) float16; W = Hkv * Dh. Grid: tiles of W, 1, T."""
    token = tl.program_id(2).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    slot = tl.load(positions + token) * width + column
    source = token * width + column
    tl.store(keys + slot, tl.load(k + source, mask=inside, other=0).to(tl.float16), mask=inside)
    tl.store(values + slot, tl.load(v + source, mask=inside, other=0).to(tl.float16), mask=inside)
