"""Packed weights and rounded activations: which bits mean what."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from engine.faults.seeding import Seeded, on_weights, seeded, with_bytes
from engine.gguf.types import GgmlType
from engine.ops.protocol import F32, U8
from engine.quant import q3_k, q4_1, q4_k, q6_k, q8_0


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


def q4k_later_blocks_lost() -> Seeded:
    """Of each row the first block of 256 weights is read, and what follows is 0.

    Seen in 1bit-MONSTER #483.
    """

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        weights = decode(raw).copy()
        weights[..., 256:] = 0
        return weights

    return on_weights(q4_k, GgmlType.Q4_K, misread)


def q3k_scales_of_four_bits() -> Seeded:
    """The upper two bits of each of the 16 scales are lost.

    Seen in aprender #2115.
    """
    return on_weights(q3_k, GgmlType.Q3_K, with_bytes(110, 104, 108, lambda high: high & 0))


def q4_1_header_of_q4_0() -> Seeded:
    """Quants are read two bytes early, where those of Q4_0 begin.

    Seen in mlx #3664.
    """

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        blocks = np.array(raw).reshape(-1, 20)
        blocks[:, 4:] = blocks[:, 2:-2].copy()
        return decode(blocks.reshape(raw.shape))

    return on_weights(q4_1, GgmlType.Q4_1, misread)


def q8_0_unsigned() -> Seeded:
    """Negative quants are read as bytes of 128 to 255."""

    def misread(decode: Callable[[U8], F32], raw: U8) -> F32:
        del decode
        blocks = np.ascontiguousarray(raw).reshape(-1, 34)
        d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        return (d * blocks[:, 2:]).reshape(*raw.shape[:-1], raw.shape[-1] // 34 * 32)

    return on_weights(q8_0, GgmlType.Q8_0, misread)


def integer_activations_clipped() -> Seeded:
    """Activations beyond 8 times their rms are cut before they are rounded: outlier channels lose their size."""

    def wrong(quantise: Any, runner: Any, x: F32, *arguments: Any) -> None:
        reach = 8 * float(np.sqrt(np.mean(np.square(x))))
        quantise(runner, np.clip(x, -reach, reach).astype(np.float32), *arguments)

    return seeded((import_module("engine.ops.cpu.activations"), "quantise", wrong))


def integer_low_plane_dropped() -> Seeded:
    """Of 16-bit activations only the high byte takes part; 8-bit ones lose their lowest bit."""

    def wrong(quantise: Any, runner: Any, x: F32, planes: int, block: int, values: Any, scales: Any) -> None:
        quantise(runner, x, planes, block, values, scales)
        if planes == 2:
            values.reshape(len(x), 2, x.shape[1])[:, 1] = 0
        else:
            values &= -2

    return seeded((import_module("engine.ops.cpu.activations"), "quantise", wrong))


def integer_offsets_dropped() -> Seeded:
    """Offsets of quants, and minimums of Q4_K and Q5_K, are not subtracted."""

    def wrong(summed: Any, *arguments: Any) -> None:
        summed(*arguments)
        arguments[-1][...] = 0

    activations = import_module("engine.ops.cpu.activations")
    return seeded((activations, "offsets", wrong), (activations, "digits", wrong))
