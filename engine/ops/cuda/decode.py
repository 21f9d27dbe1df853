"""Weights of the types without a kernel, decoded on the device by torch: bit for bit what `engine.quant` decodes.

Each step is one rounding, because torch computes and stores them one by one. The layouts are drawn in `engine.quant`.
Nothing here waits for the host, so a captured graph may hold it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch

from engine.gguf.types import GgmlType, layout

log = logging.getLogger(__name__)


@functools.cache
def warn(type_: GgmlType) -> None:
    """Name a type in the log, once."""
    log.warning("%s has no kernel; its weights are decoded to float32 on the device at every use", type_.name)


def decode(type_: GgmlType, raw: Any) -> Any:
    """Packed rows (N, row_bytes) uint8 -> weights (N, K) float32."""
    block_size, type_size = layout(type_)
    rows, row_bytes = raw.shape
    return DECODERS[type_](raw.reshape(-1, type_size)).reshape(rows, row_bytes // type_size * block_size)


def _q4_0(blocks: Any) -> Any:
    return (_nibbles(blocks[:, 2:]).reshape(-1, 32).float() - 8) * _half(blocks, 0)


def _q4_1(blocks: Any) -> Any:
    return _nibbles(blocks[:, 4:]).reshape(-1, 32).float() * _half(blocks, 0) + _half(blocks, 2)


def _q5_0(blocks: Any) -> Any:
    quants = _nibbles(blocks[:, 6:]).reshape(-1, 32) | _bits_of_bytes(blocks[:, 2:6]) << 4
    return (quants.float() - 16) * _half(blocks, 0)


def _q5_1(blocks: Any) -> Any:
    quants = _nibbles(blocks[:, 8:]).reshape(-1, 32) | _bits_of_bytes(blocks[:, 4:8]) << 4
    return quants.float() * _half(blocks, 0) + _half(blocks, 2)


def _q2_k(blocks: Any) -> Any:
    scales = _half(blocks, 80) * (blocks[:, :16] & 15)
    minimums = _half(blocks, 82) * (blocks[:, :16] >> 4)
    quants = _pairs(blocks[:, 16:80]).reshape(-1, 16, 16).float()
    return quants * scales[:, :, None] - minimums[:, :, None]


def _q3_k(blocks: Any) -> Any:
    low = _nibbles(blocks[:, 96:104]).reshape(-1, 16)
    high = (blocks[:, 104:108, None] >> _counted(4, blocks) * 2 & 3).transpose(1, 2).reshape(-1, 16)
    scales = _half(blocks, 108) * ((low | high << 4).float() - 32)
    quants = _pairs(blocks[:, 32:96]).reshape(-1, 256) | _planes(blocks[:, :32]).reshape(-1, 256) << 2
    return (quants.reshape(-1, 16, 16).float() - 4) * scales[:, :, None]


def _q5_k(blocks: Any) -> Any:
    packed = blocks[:, 4:16]
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = torch.cat((low & 63, high & 15 | low >> 6 << 4), dim=1)
    minimums = torch.cat((middle & 63, high >> 4 | middle >> 6 << 4), dim=1)
    nibbles = _nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    quants = (nibbles | _planes(blocks[:, 16:48]) << 4).float()
    return quants * (_half(blocks, 0) * scales)[:, :, None] - (_half(blocks, 2) * minimums)[:, :, None]


def _half(blocks: Any, at: int) -> Any:
    """The float16 at byte `at` of each block: (blocks, 1) float32."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def _counted(count: int, like: Any) -> Any:
    return torch.arange(count, dtype=torch.uint8, device=like.device)


def _nibbles(packed: Any) -> Any:
    """(..., m) -> (..., 2, m): the low nibbles, then the high ones."""
    return torch.stack((packed & 15, packed >> 4), dim=-2)


def _bits_of_bytes(packed: Any) -> Any:
    """(n, m) -> (n, 8 m): the bits of each byte, lowest first."""
    return (packed[:, :, None] >> _counted(8, packed) & 1).flatten(1)


def _planes(packed: Any) -> Any:
    """(n, m) -> (n, 8, m): bit 0 of every byte, then bit 1, and so on."""
    return packed[:, None, :] >> _counted(8, packed)[:, None] & 1


def _pairs(packed: Any) -> Any:
    """(n, 64) -> (n, 2, 4, 32): of each half of the bytes bits 0 and 1, then 2 and 3, and so on."""
    return packed.reshape(-1, 2, 1, 32) >> (_counted(4, packed) * 2)[:, None] & 3


DECODERS: Mapping[GgmlType, Callable[[Any], Any]] = {
    GgmlType.Q4_0: _q4_0,
    GgmlType.Q4_1: _q4_1,
    GgmlType.Q5_0: _q5_0,
    GgmlType.Q5_1: _q5_1,
    GgmlType.Q2_K: _q2_k,
    GgmlType.Q3_K: _q3_k,
    GgmlType.Q5_K: _q5_k,
}
"""(blocks, type_size) uint8 -> weights of each block."""
