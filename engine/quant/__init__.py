"""Codecs of the tensor types that this engine runs, one file per type.

`decode` turns packed rows into float32 weights, `encode` packs float32 weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy.typing as npt

from engine.errors import QuantError
from engine.gguf.types import GgmlType
from engine.quant import bf16, f16, f32, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0
from engine.quant.blocks import Bytes, Floats


class Codec(Protocol):
    """What the module of one type offers."""

    BLOCK_SIZE: int
    TYPE_SIZE: int
    SCALES: tuple[int, ...]
    """Bytes of a block at which its float16 scales and minimums start; none where weights are plain numbers."""

    def decode(self, raw: npt.NDArray[Any]) -> Floats: ...


class Encoder(Protocol):
    """What the module of a type that we also write offers besides."""

    def encode(self, weights: npt.NDArray[Any]) -> Bytes: ...


# Modules, not their functions: a seeded fault that replaces `q4_k.decode` must be seen here.
CODECS: Mapping[GgmlType, Codec] = MappingProxyType(
    {
        GgmlType.F32: f32,
        GgmlType.F16: f16,
        GgmlType.BF16: bf16,
        GgmlType.Q8_0: q8_0,
        GgmlType.Q5_1: q5_1,
        GgmlType.Q5_0: q5_0,
        GgmlType.Q4_1: q4_1,
        GgmlType.Q4_0: q4_0,
        GgmlType.Q2_K: q2_k,
        GgmlType.Q3_K: q3_k,
        GgmlType.Q4_K: q4_k,
        GgmlType.Q5_K: q5_k,
        GgmlType.Q6_K: q6_k,
    }
)

SUPPORTED: tuple[GgmlType, ...] = tuple(CODECS)
"""Types with a codec, in the order that messages list them."""

ENCODABLE: tuple[GgmlType, ...] = tuple(type_ for type_, module in CODECS.items() if hasattr(module, "encode"))
"""Those of them that this engine also writes."""


def codec(type_: GgmlType) -> Codec:
    """The codec of one type.

    Raises:
        QuantError: this engine has none; the message names the types that have one.
    """
    try:
        return CODECS[type_]
    except KeyError:
        have = ", ".join(known.name for known in SUPPORTED)
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
        QuantError: no codec for the type or one that only reads, a row is not a whole number of blocks, or a weight
            is not finite.
    """
    module = codec(type_)
    if type_ not in ENCODABLE:
        have = ", ".join(known.name for known in ENCODABLE)
        raise QuantError(f"type {type_.name} is read but not written by this engine; written are {have}")
    return cast("Encoder", module).encode(weights)
