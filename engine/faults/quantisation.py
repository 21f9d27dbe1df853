"""Packed weights and rounded activations: which bits mean what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.faults.seeding import Seeded, on_weights, with_bytes
from engine.gguf.types import GgmlType
from engine.ops.protocol import F32, U8
from engine.quant import q4_k, q6_k


def q4k_min_sign() -> Seeded:
    """Minimums are added and not subtracted."""
    return on_weights(q4_k, GgmlType.Q4_K, with_bytes(144, 3, 4, lambda high: high ^ 0x80))


def q4k_nibble_swap() -> Seeded:
    """The two weights of each byte change places."""
    return on_weights(q4_k, GgmlType.Q4_K, with_bytes(144, 16, 144, lambda qs: qs >> 4 | qs << 4))


def q4k_scale_high_bits_lost() -> Seeded:
    """Scales 4 to 7 lose their top two bits, which lie in bytes 0 to 3 of the scales."""
    return on_weights(q4_k, GgmlType.Q4_K, with_bytes(144, 4, 8, lambda scales: scales & 63))


def q6k_high_bits_lost() -> Seeded:
    """The upper two bits of each quant are taken as 0."""
    return on_weights(q6_k, GgmlType.Q6_K, with_bytes(210, 128, 192, lambda bits: bits & 0))


def q6k_scale_unsigned() -> Seeded:
    """A negative int8 scale is read as uint8."""

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        scales = np.ascontiguousarray(raw).reshape(-1, 210)[:, 192:208].view(np.int8).astype(np.float32)
        factor = np.where(scales < 0, (scales + 256) / np.where(scales < 0, scales, 1), 1).astype(np.float32)
        weights = decode(raw)
        return (weights.reshape(-1, 16, 16) * factor[:, :, None]).reshape(weights.shape)

    return on_weights(q6_k, GgmlType.Q6_K, misread)
