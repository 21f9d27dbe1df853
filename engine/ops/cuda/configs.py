"""Tile sizes by GPU generation and kind of weight: a committed table, so that no run chooses its own summation order.

Chosen from compiled code (instructions per weight, registers, shared memory; see the contracts); not yet timed on a
GPU. A generation without an entry uses the newest older one. Entry 0 is for Triton's interpreter, where time goes
with the number of programs and not with their size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.gguf.types import GgmlType
from engine.ops.cuda import target


@dataclass(frozen=True, slots=True)
class Matvec:
    """One program: `rows` rows times `blocks` blocks per step."""

    rows: int
    blocks: int
    """At most; the launcher halves it until it divides the blocks of a row."""
    warps: int


@dataclass(frozen=True, slots=True)
class Matmul:
    """One program: a tile of `rows` x `tokens`."""

    rows: int
    tokens: int
    warps: int
    stages: int


@dataclass(frozen=True, slots=True)
class Attention:
    tokens: int
    slots: int
    parts: int
    """Programs per kv head in decode; fixed, because it decides the order of summation."""
    warps: int


@dataclass(frozen=True, slots=True)
class Table:
    matvec: dict[GgmlType, Matvec]
    exact: dict[GgmlType, Matvec]
    matmul: dict[GgmlType, Matmul]
    attention: Attention
    splits: tuple[tuple[int, int], ...]
    """(rows at most, parts of K): narrow outputs have too few row tiles to fill a GPU; ascending."""


_FLOATS = (GgmlType.F32, GgmlType.F16, GgmlType.BF16)

_GPU = Table(
    matvec={
        GgmlType.Q4_K: Matvec(rows=16, blocks=2, warps=2),
        GgmlType.Q6_K: Matvec(rows=8, blocks=2, warps=2),
        GgmlType.Q8_0: Matvec(rows=16, blocks=16, warps=4),
        **dict.fromkeys(_FLOATS, Matvec(rows=8, blocks=512, warps=4)),
    },
    exact=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=16, blocks=2, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=16, blocks=16, warps=4)},
    matmul=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0), Matmul(rows=128, tokens=128, warps=8, stages=2))
    | dict.fromkeys(_FLOATS, Matmul(rows=64, tokens=64, warps=4, stages=1)),
    attention=Attention(tokens=64, slots=32, parts=8, warps=4),
    splits=((8192, 4),),
)
# with 4 warps the tile of prefill does not fit the registers of sm_80 and 8 bytes of each thread go to memory
_SM_80 = replace(_GPU, attention=Attention(tokens=64, slots=32, parts=8, warps=8))
_INTERPRETED = Table(
    matvec=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=64, blocks=4, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=64, blocks=32, warps=4)}
    | dict.fromkeys(_FLOATS, Matvec(rows=64, blocks=512, warps=4)),
    exact=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=64, blocks=4, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=64, blocks=32, warps=4)},
    matmul=dict.fromkeys(
        (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0, *_FLOATS), Matmul(rows=64, tokens=32, warps=4, stages=1)
    ),
    attention=Attention(tokens=32, slots=64, parts=2, warps=4),
    splits=((2048, 2),),
)
TABLES: dict[int, Table] = {0: _INTERPRETED, 80: _SM_80, 90: _GPU}


def table() -> Table:
    """The entry for where this process runs its kernels."""
    return TABLES[max(known for known in TABLES if known <= target.capability())]


def blocks_per_step(most: int, blocks: int) -> int:
    """The largest power of two that divides `blocks` and is at most `most`."""
    return min(most, blocks & -blocks)


def splits(rows: int, steps: int) -> int:
    """Parts that a product of `rows` rows and `steps` steps is cut into; every part has a step."""
    wanted = next((parts for limit, parts in table().splits if rows <= limit), 1)
    per_part = -(-steps // min(wanted, steps))
    return -(-steps // per_part)
