"""Q6_K: 6-bit weights in super-blocks of 256; 210 bytes per block, 6.5625 bits per weight.

    offset  bytes  field   dtype    meaning
         0    128  ql      uint8    low 4 bits of the 256 weights
       128     64  qh      uint8    high 2 bits of the 256 weights
       192     16  scales  int8     one scale per sub-block of 16 weights
       208      2  d       float16  scale of the sub-block scales

    w = d * scale[i // 16] * (q - 32)             q in 0..63

    Weight i = 128 h + 32 k + l, with h in 0..1, k in 0..3, l in 0..31, lies in

    ql[64 h + 32 (k % 2) + l]   low nibble for k < 2, high nibble for k >= 2
    qh[32 h + l]                bits 2k+1, 2k

Source: block_q6_K in ggml-common.h, dequantize_row_q6_K in ggml-quants.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Bytes, Floats, check_scale, split_packed, split_weights, tame

BLOCK_SIZE = 256
TYPE_SIZE = 210
SCALES: tuple[int, ...] = (208,)

# The extreme weight of a sub-block becomes one of these quants; beyond -32 or 31 it is clipped.
_STEPS = np.concatenate([-np.arange(30.0, 33.6, 0.25), np.arange(29.0, 32.6, 0.25)])


def decode(raw: npt.NDArray[Any]) -> Floats:
    """Unpack rows of blocks: (..., row_bytes) uint8 -> (..., cols) float32.

    Raises:
        QuantError: a row is not a whole number of blocks.
    """
    blocks = split_packed(raw, "q6_k", TYPE_SIZE)
    count = len(blocks)
    ql = blocks[:, :128].reshape(count, 2, 1, 64)
    qh = blocks[:, 128:192].reshape(count, 2, 32)
    quants = np.empty((count, 2, 2, 64), np.uint8)
    np.bitwise_and(ql, 15, out=quants[:, :, 0:1])
    np.right_shift(ql, 4, out=quants[:, :, 1:2])
    quarters = quants.reshape(count, 2, 4, 32)
    quarters[:, :, 0] |= (qh << 4) & 48
    quarters[:, :, 1] |= (qh << 2) & 48
    quarters[:, :, 2] |= qh & 48
    quarters[:, :, 3] |= (qh >> 2) & 48
    quants -= 32  # wraps; the view below reads it as signed
    d = blocks[:, 208:210].copy().view(np.float16).astype(np.float32)
    scale = d * blocks[:, 192:208].view(np.int8)
    weights = quants.view(np.int8).reshape(count, 16, 16).astype(np.float32)
    weights *= scale[:, :, np.newaxis]
    return weights.reshape(*raw.shape[:-1], raw.shape[-1] // TYPE_SIZE * BLOCK_SIZE)


def encode(weights: npt.NDArray[Any]) -> Bytes:
    """Pack rows of weights: (..., cols) float32 -> (..., row_bytes) uint8.

    Each sub-block takes the best of a grid of signed steps by least squares; then the scales are rounded to
    8 bits, their neighbours are tried, and d is fitted once more to the quants found.

    Raises:
        QuantError: a row is not a whole number of blocks, a weight is not finite, or a scale exceeds float16.
    """
    x = tame(split_weights(weights, "q6_k", BLOCK_SIZE), "q6_k", 128 * 32)
    packed = np.empty((len(x), TYPE_SIZE), np.uint8)
    # 512 blocks keep the temporaries of the search within a 2 MB second-level cache.
    for start in range(0, len(x), 512):
        d, scales, quants = _search(x[start : start + 512].reshape(-1, 16, 16))
        part = packed[start : start + 512]
        quarters = (quants + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
        part[:, :128] = (quarters[:, :, :2] & 15 | quarters[:, :, 2:] << 4).reshape(-1, 128)
        high = quarters >> 4 << np.array([0, 2, 4, 6], np.uint8)[:, np.newaxis]
        part[:, 128:192] = np.bitwise_or.reduce(high, axis=2).reshape(-1, 64)
        part[:, 192:208] = scales.astype(np.int8).view(np.uint8)
        part[:, 208:210] = d.view(np.uint8)
    return packed.reshape(*weights.shape[:-1], weights.shape[-1] // BLOCK_SIZE * TYPE_SIZE)


def _search(x: Floats) -> tuple[npt.NDArray[np.float16], Floats, Floats]:
    """d (blocks, 1), scales (blocks, 16), quants (blocks, 16, 16) of least squared error for x (blocks, 16, 16)."""
    scale = _fit_sub_blocks(x)
    extreme = np.take_along_axis(scale, np.abs(scale).argmax(axis=1)[:, np.newaxis], axis=1)
    # the largest scale becomes -128, the end of int8 that reaches further
    d = extreme / np.float32(-128)
    check_scale(d, "q6_k")
    half = d.astype("<f2")
    scales, quants, error = _round_scales(x, scale, half)
    products = scales[..., np.newaxis] * quants
    squares = np.einsum("ijk,ijk->i", products, products)[:, np.newaxis]
    fit = np.einsum("ijk,ijk->i", x, products)[:, np.newaxis] / np.maximum(squares, 1)
    refit_half = np.clip(fit, -65504, 65504).astype("<f2")
    refit_scales, refit_quants, refit_error = _round_scales(x, scale, refit_half)
    better = (refit_error < error)[:, np.newaxis]
    return (
        np.where(better, refit_half, half),
        np.where(better, refit_scales, scales),
        np.where(better[..., np.newaxis], refit_quants, quants),
    )


def _fit_sub_blocks(x: Floats) -> Floats:
    """Best unrounded signed scale of each sub-block: (blocks, 16) float32; 0 where all weights are 0."""
    extreme = np.take_along_axis(x, np.abs(x).argmax(axis=2)[..., np.newaxis], axis=2)
    usable = extreme != 0
    best_gain = np.zeros(x.shape[:2], np.float32)
    best_scale = np.zeros(x.shape[:2], np.float32)
    for step in _STEPS:
        inverse = np.divide(np.float32(step), extreme, out=np.zeros_like(extreme), where=usable)
        q = np.clip(np.rint(x * inverse), -32, 31)
        sum_qq = np.einsum("ijk,ijk->ij", q, q)
        sum_xq = np.einsum("ijk,ijk->ij", x, q)
        scale = sum_xq / np.maximum(sum_qq, 1)
        gain = scale * sum_xq
        better = gain > best_gain
        best_gain = np.where(better, gain, best_gain)
        best_scale = np.where(better, scale, best_scale)
    return best_scale


def _round_scales(x: Floats, scale: Floats, half: npt.NDArray[np.float16]) -> tuple[Floats, Floats, Floats]:
    """Best int8 scales near `scale` for given d, their quants, and the squared error of each block."""
    d = half.astype(np.float32)
    near = np.rint(np.divide(scale, d, out=np.zeros_like(scale), where=np.broadcast_to(d != 0, scale.shape)))
    best_error = np.full(scale.shape, np.inf, np.float32)
    best_scales = np.zeros_like(scale)
    best_quants = np.zeros_like(x)
    for delta in (0, -1, 1):
        integers = np.clip(near + delta, -128, 127)
        step = (d * integers)[..., np.newaxis]
        inverse = np.divide(np.float32(1), step, out=np.zeros_like(step), where=step != 0)
        q = np.clip(np.rint(x * inverse), -32, 31)
        rest = x - step * q
        error = np.einsum("ijk,ijk->ij", rest, rest)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scales = np.where(better, integers, best_scales)
        best_quants = np.where(better[..., np.newaxis], q, best_quants)
    return best_scales, best_quants, best_error.sum(axis=1)
