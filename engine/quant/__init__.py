"""Codecs of the tensor types that this engine runs, one file per type.

`decode` turns packed rows into float32 weights, `encode` packs float32 weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy.typing as npt

from engine.errors import QuantError
from engine.gguf.types import GgmlType
from engine.quant import bf16, f16, f32, q4_k, q6_k, q8_0
from engine.quant.blocks import Bytes, Floats


@dataclass(frozen=True)
class Codec:
    """How one type packs its weights: `block_size` weights in `type_size` bytes."""

    block_size: int
    type_size: int
    decode: Callable[[npt.NDArray[Any]], Floats]
    encode: Callable[[npt.NDArray[Any]], Bytes]


CODECS: Mapping[GgmlType, Codec] = MappingProxyType(
    {
        GgmlType.F32: Codec(f32.BLOCK_SIZE, f32.TYPE_SIZE, f32.decode, f32.encode),
        GgmlType.F16: Codec(f16.BLOCK_SIZE, f16.TYPE_SIZE, f16.decode, f16.encode),
        GgmlType.BF16: Codec(bf16.BLOCK_SIZE, bf16.TYPE_SIZE, bf16.decode, bf16.encode),
        GgmlType.Q8_0: Codec(q8_0.BLOCK_SIZE, q8_0.TYPE_SIZE, q8_0.decode, q8_0.encode),
        GgmlType.Q4_K: Codec(q4_k.BLOCK_SIZE, q4_k.TYPE_SIZE, q4_k.decode, q4_k.encode),
        GgmlType.Q6_K: Codec(q6_k.BLOCK_SIZE, q6_k.TYPE_SIZE, q6_k.decode, q6_k.encode),
    }
)


def codec(type_: GgmlType) -> Codec:
    """The codec of one type.

    Raises:
        QuantError: this engine has none; the message names the types that have one.
    """
    try:
        return CODECS[type_]
    except KeyError:
        have = ", ".join(known.name for known in CODECS)
        raise QuantError(f"type {type_.name} has no codec in this engine; supported are {have}") from None


def decode(type_: GgmlType, raw: npt.NDArray[Any]) -> Floats:
    """Packed rows (..., row_bytes) uint8 -> weights (..., cols) float32.

    Raises:
        QuantError: no codec for the type, or a row is not a whole number of blocks.
    """
    return codec(type_).decode(raw)


def encode(type_: GgmlType, weights: npt.NDArray[Any]) -> Bytes:
    """Weights (..., cols) float32 -> packed rows (..., row_bytes) uint8.

    Raises:
        QuantError: no codec for the type, a row is not a whole number of blocks, or a weight is not finite.
    """
    return codec(type_).encode(weights)
