"""Rows of the embedding matrix, decoded: y[t] = W[token_ids[t]].

Repeats `ops.reference.embedding`: weights with the roundings of `engine.quant`; where the compiler contracts
d * s * q - dmin * m of Q4_K to one rounding fewer, the difference is below 1e-7 of the block's range.

One weight at a time, with byte loads: T rows are nothing beside the products that follow.
The launcher guarantees: planes as `weights` makes them, contiguous; ids lie in 0..V-1; KIND is the GgmlType number.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import triton
import triton.language as tl

from engine.ops.cuda.dependent import release_next, wait_for_previous


@triton.jit
def _q4_k(w: tl.tensor, row: tl.tensor, k: tl.tensor, inside: tl.tensor, size: tl.tensor) -> tl.tensor:
    """w: uint8, blocks of 144 bytes as they lie in the file."""
    at = w + (row * (size // 256) + k // 256) * 144
    j = k % 256 // 32
    halves = at.to(tl.pointer_type(tl.float16))
    d = tl.load(halves, mask=inside, other=0).to(tl.float32)
    dmin = tl.load(halves + 1, mask=inside, other=0).to(tl.float32)
    s = tl.load(at + 4 + j % 4, mask=inside, other=0).to(tl.int32)
    m = tl.load(at + 8 + j % 4, mask=inside, other=0).to(tl.int32)
    low = tl.load(at + 12 + j % 4, mask=inside, other=0).to(tl.int32)
    scale = tl.where(j < 4, s & 63, low & 15 | s >> 2 & 48)
    minimum = tl.where(j < 4, m & 63, low >> 4 | m >> 2 & 48)
    q = tl.load(at + 16 + j // 2 * 32 + k % 32, mask=inside, other=0).to(tl.int32) >> j % 2 * 4 & 15
    return (d * scale.to(tl.float32)) * q.to(tl.float32) - dmin * minimum.to(tl.float32)


@triton.jit
def _q6_k(
    low: tl.tensor,
    high: tl.tensor,
    scales: tl.tensor,
    d: tl.tensor,
    row: tl.tensor,
    k: tl.tensor,
    inside: tl.tensor,
    size: tl.tensor,
) -> tl.tensor:
    """low, high uint8, scales int8, d float16: the planes of `q6_k_matvec`."""
    block = row * (size // 256) + k // 256
    part = k % 128 // 32
    unit = block * 4 + k % 256 // 128 * 2 + k % 32 // 16
    nibbles = tl.load(low + unit * 32 + part % 2 * 16 + k % 16, mask=inside, other=0).to(tl.int32)
    top = tl.load(high + unit * 16 + k % 16, mask=inside, other=0).to(tl.int32)
    q = (nibbles >> part // 2 * 4 & 15 | (top >> part * 2 & 3) << 4) - 32
    scale = tl.load(scales + unit * 4 + part, mask=inside, other=0).to(tl.float32)
    return tl.load(d + block, mask=inside, other=0).to(tl.float32) * scale * q.to(tl.float32)


@triton.jit
def embedding(
    plane0: tl.tensor,
    plane1: tl.tensor,
    plane2: tl.tensor,
    plane3: tl.tensor,
    token_ids: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    KIND: tl.constexpr,
    BLOCK: tl.constexpr,
    DEPENDENT: tl.constexpr,
) -> None:
    """Planes as bytes or numbers, those that a type lacks repeat the first; token_ids (T,) int64; out (T, D) float32;
    size = D. Grid: tiles of BLOCK, 1, T."""
    release_next(DEPENDENT)
    wait_for_previous(DEPENDENT)
    token = tl.program_id(2).to(tl.int64)
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = k < size
    row = tl.load(token_ids + token)
    if KIND == 12:
        weights = _q4_k(plane0, row, k, inside, size)
    elif KIND == 14:
        weights = _q6_k(plane0, plane1, plane2, plane3, row, k, inside, size)
    elif KIND == 8:
        scale = tl.load(plane1 + row * (size // 32) + k // 32, mask=inside, other=0).to(tl.float32)
        weights = scale * tl.load(plane0 + row * size + k, mask=inside, other=0).to(tl.float32)
    else:
        weights = tl.load(plane0 + row * size + k, mask=inside, other=0).to(tl.float32)
    tl.store(out + token * size + k, weights, mask=inside)
