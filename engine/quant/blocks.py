"""Shapes shared by the block codecs: rows of weights <-> rows of packed blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import QuantError

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def split_packed(raw: npt.NDArray[Any], name: str, type_size: int) -> Bytes:
    """View packed rows as blocks.

    Args:
        raw: (..., row_bytes) uint8.
        name: type name for messages, such as `q4_k`.
    Returns:
        (blocks, type_size) uint8, C-contiguous; a copy only if `raw` is not contiguous.
    Raises:
        QuantError: not bytes, or a row is not a whole number of blocks.
    """
    if raw.dtype != np.uint8 or raw.ndim == 0:
        raise QuantError(f"{name} data is {raw.dtype} of shape {raw.shape}, expected rows of uint8")
    row_bytes = raw.shape[-1]
    if row_bytes % type_size:
        raise QuantError(f"{name} row is {row_bytes} bytes, expected a multiple of {type_size}")
    return np.ascontiguousarray(raw).reshape(-1, type_size)


def split_weights(weights: npt.NDArray[Any], name: str, block_size: int) -> Floats:
    """View rows of weights as blocks.

    Args:
        weights: (..., cols) float32, finite.
        name: type name for messages, such as `q4_k`.
    Returns:
        (blocks, block_size) float32, C-contiguous.
    Raises:
        QuantError: not float32, not finite, or a row is not a whole number of blocks.
    """
    if weights.dtype != np.float32 or weights.ndim == 0:
        raise QuantError(f"{name} weights are {weights.dtype} of shape {weights.shape}, expected rows of float32")
    cols = weights.shape[-1]
    if cols % block_size:
        raise QuantError(f"{name} row is {cols} weights, expected a multiple of {block_size}")
    if not np.isfinite(weights).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(weights))[0])
        raise QuantError(f"{name} weight at {index} is {weights[index]}, expected finite weights")
    return np.ascontiguousarray(weights).reshape(-1, block_size)


def check_scale(scale: Floats, name: str) -> None:
    """Refuse scales that float16 cannot hold.

    Raises:
        QuantError: a scale is beyond 65504, the largest float16.
    """
    largest = float(np.abs(scale).max(initial=0.0))
    if largest >= 65520:
        raise QuantError(f"{name} scale is {largest:g}, beyond 65504, the largest float16; use f32 for this tensor")


def tame(x: Floats, name: str, reach: int) -> Floats:
    """Weights whose squares neither overflow nor vanish in float32.

    Weights below 2^-26, a quarter of the least float16 and so of the least step of any block, become 0.

    Args:
        reach: largest weight of a block whose d is 1.

    Raises:
        QuantError: a weight needs a scale beyond float16.
    """
    check_scale(np.abs(x).max(initial=0.0, keepdims=True) / np.float32(reach), name)
    return np.where(np.abs(x) < np.float32(2.0**-26), np.float32(0), x)


def halves(blocks: Bytes, offset: int) -> Floats:
    """The float16 field at byte `offset` of each block, widened: (blocks, 1) float32."""
    return blocks[:, offset : offset + 2].copy().view("<f2").astype(np.float32)


def nibbles(packed: Bytes) -> Bytes:
    """Low nibbles of each row of bytes, then its high ones: (..., n) -> (..., 2, n)."""
    return packed[..., np.newaxis, :] >> np.array([[0], [4]], np.uint8) & np.uint8(15)


def fifth_bits(packed: Bytes) -> Bytes:
    """Bit i of a little-endian uint32, as 16 or 0: (blocks, 4) -> (blocks, 32)."""
    return np.unpackbits(packed, axis=1, bitorder="little") << np.uint8(4)


def pairs_of_bits(packed: Bytes) -> Bytes:
    """2-bit quants as the K types keep them, 128 in 32 bytes: (blocks, 64) -> (blocks, 2, 4, 32)."""
    shifts = np.array([[0], [2], [4], [6]], np.uint8)
    return packed.reshape(-1, 2, 1, 32) >> shifts & np.uint8(3)


def bit_planes(packed: Bytes) -> Bytes:
    """Bit j of each byte, plane by plane: (blocks, 32) -> (blocks, 8, 32)."""
    return packed[:, np.newaxis] >> np.arange(8, dtype=np.uint8)[:, np.newaxis] & np.uint8(1)


def rejoin(weights: Floats, raw: npt.NDArray[Any], block_size: int, type_size: int) -> Floats:
    """Blocks of weights as rows: the leading axes of the packed rows they came from."""
    return weights.reshape(*raw.shape[:-1], raw.shape[-1] // type_size * block_size)
