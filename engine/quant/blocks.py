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
