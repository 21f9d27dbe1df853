"""Tile sizes and splits by GPU generation and shape: a committed table, so that no run chooses its own order of sums.

Chosen from compiled code (instructions per weight, registers, shared memory; see the contracts) and from how many
programs fill a GPU; not yet timed on one. Two GPUs have entries of their own, and every other one takes `DEFAULT`,
whose tiles fit the 99 KiB of shared memory of the smallest. `INTERPRETED` is for Triton's interpreter, where time goes
with the number of programs and not with their size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from engine.gguf.types import GgmlType
from engine.ops.cuda import target


@dataclass(frozen=True, slots=True)
class Matvec:
    """One program: `rows` rows times `blocks` blocks per step."""

    rows: int
    blocks: int
    """At most; the launcher halves it until it divides the blocks of a row. Columns where a type has no blocks."""
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
    name: str
    matvec: Mapping[GgmlType, Matvec]
    gated: Mapping[GgmlType, Matvec]
    """Of ffn_gate and ffn_up in one launch; half of the rows are of either, 32 or more."""
    exact: Mapping[GgmlType, Matvec]
    matmul: Mapping[GgmlType, Matmul]
    attention: Attention
    splits: Mapping[tuple[int, int], int]
    """Parts that the columns of a product in decode are cut into, by rows and columns of the weight."""
    narrow: tuple[int, int]
    """(rows at most, parts) of a shape that `splits` does not name."""
    dependent_launch: bool = False
    """Kernels begin before the one before has ended, see `dependent`; from sm_90 on."""


_FLOATS = (GgmlType.F32, GgmlType.F16, GgmlType.BF16)

# Narrow outputs have too few row tiles to fill a GPU. In this order: q, k and v in one launch; q and k, and v, where v
# has another type; attn_output; ffn_gate and ffn_up in one launch; ffn_down; the output.
_QWEN_7B = {
    (4608, 3584): 4, (4096, 3584): 4, (512, 3584): 7, (3584, 3584): 4, (37888, 3584): 1, (3584, 18944): 4,
    (152064, 3584): 1,
}  # fmt: skip
_QWEN_1_5B = {
    (2048, 1536): 3, (1792, 1536): 3, (256, 1536): 3, (1536, 1536): 3, (17920, 1536): 1, (1536, 8960): 7,
    (151936, 1536): 1,
}  # fmt: skip
_QWEN_0_5B = {
    (1152, 896): 4, (1024, 896): 4, (128, 896): 4, (896, 896): 4, (9728, 896): 1, (896, 4864): 8, (151936, 896): 1
}  # fmt: skip

_H200 = Table(
    name="sm_90: H100, H200",
    matvec={
        GgmlType.Q4_K: Matvec(rows=16, blocks=2, warps=2),
        GgmlType.Q6_K: Matvec(rows=8, blocks=2, warps=2),
        GgmlType.Q8_0: Matvec(rows=16, blocks=16, warps=4),
        **dict.fromkeys(_FLOATS, Matvec(rows=8, blocks=512, warps=4)),
    },
    gated={
        GgmlType.Q4_K: Matvec(rows=64, blocks=2, warps=8),
        GgmlType.Q6_K: Matvec(rows=64, blocks=2, warps=16),
        GgmlType.Q8_0: Matvec(rows=64, blocks=16, warps=16),
        **dict.fromkeys(_FLOATS, Matvec(rows=64, blocks=256, warps=16)),
    },
    exact=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=16, blocks=2, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=16, blocks=16, warps=4)},
    matmul=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0), Matmul(rows=128, tokens=128, warps=8, stages=2))
    | dict.fromkeys(_FLOATS, Matmul(rows=64, tokens=64, warps=4, stages=1)),
    attention=Attention(tokens=64, slots=32, parts=8, warps=4),
    splits=_QWEN_7B | _QWEN_1_5B | _QWEN_0_5B,
    narrow=(8192, 4),
    dependent_launch=True,
)
# with 4 warps the tile of prefill does not fit the registers of sm_80 and 8 bytes of each thread go to memory
_A100 = replace(
    _H200,
    name="sm_80: A100",
    attention=Attention(tokens=64, slots=32, parts=8, warps=8),
    # with 128 tokens the same happens where their number is not a multiple of 16
    matmul={**_H200.matmul, GgmlType.Q6_K: Matmul(rows=128, tokens=64, warps=8, stages=2)},
    dependent_launch=False,
)
DEFAULT = replace(
    _A100,
    name="default",
    matmul=dict.fromkeys(_H200.matmul, Matmul(rows=64, tokens=64, warps=4, stages=1)),
    splits={},
)
INTERPRETED = Table(
    name="interpreted",
    matvec=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=64, blocks=4, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=64, blocks=32, warps=4)}
    | dict.fromkeys(_FLOATS, Matvec(rows=64, blocks=512, warps=4)),
    gated=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=128, blocks=4, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=128, blocks=32, warps=4)}
    | dict.fromkeys(_FLOATS, Matvec(rows=128, blocks=512, warps=4)),
    exact=dict.fromkeys((GgmlType.Q4_K, GgmlType.Q6_K), Matvec(rows=64, blocks=4, warps=4))
    | {GgmlType.Q8_0: Matvec(rows=64, blocks=32, warps=4)},
    matmul=dict.fromkeys(
        (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0, *_FLOATS), Matmul(rows=64, tokens=32, warps=4, stages=1)
    ),
    attention=Attention(tokens=32, slots=64, parts=2, warps=4),
    splits={},
    narrow=(2048, 2),
)
TABLES: dict[int, Table] = {0: INTERPRETED, 80: _A100, 90: _H200}
"""By capability: 90 for sm_90, 0 for the interpreter."""


def table() -> Table:
    """The entry for where this process runs its kernels."""
    return TABLES.get(target.capability(), DEFAULT)


_one_after_the_other: ContextVar[bool] = ContextVar("one_after_the_other", default=False)


def dependent_launch() -> bool:
    """Whether kernels begin before the one before has ended: on a GPU the table's entry, if it is not switched off."""
    return table().dependent_launch and target.assembly() and not _one_after_the_other.get()


@contextmanager
def one_after_the_other() -> Iterator[None]:
    """Inside, every kernel begins after the end of the one before; a graph stays as it was captured."""
    token = _one_after_the_other.set(True)
    try:
        yield
    finally:
        _one_after_the_other.reset(token)


def blocks_per_step(most: int, blocks: int) -> int:
    """The largest power of two that divides `blocks` and is at most `most`."""
    return min(most, blocks & -blocks)


def warps(config: Matvec, blocks: int, kind: GgmlType) -> int:
    """As many as have a chunk of 16-byte loads each, where a step has only `blocks` blocks; with more, loads shrink."""
    chunks = config.rows * blocks * (1 if kind == GgmlType.Q8_0 else 4)
    return max(1, min(config.warps, chunks // 32))


def splits(shape: tuple[int, int], steps: int) -> int:
    """Parts that a product of `steps` steps is cut into; every part has a step.

    Args:
        shape: rows and columns of the weight.
    """
    chosen = table()
    rows, parts = chosen.narrow
    wanted = chosen.splits.get(shape, parts if shape[0] <= rows else 1)
    per_part = -(-steps // min(wanted, steps))
    return -(-steps // per_part)
