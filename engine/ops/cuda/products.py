"""Matrix products on the device: which kernel, with which tiles.

    tokens        quantised weights, default mode        exact mode      F32, F16, BF16
    1 to 8        8-bit activations, `*_matvec`          `*_exact`       `float_matvec`
    more          float16 activations, `*_matmul`        `*_exact`       `float_matmul`

Weights of a type without a kernel are decoded to float32 on the device, a slice of rows at a time, in every mode.
"""

from __future__ import annotations

from typing import Any

import torch
import triton

from engine.errors import ShapeError
from engine.gguf.types import GgmlType
from engine.ops.cuda import activations, configs, decode, target
from engine.ops.cuda.argmax import argmax
from engine.ops.cuda.float_matmul import float_matmul
from engine.ops.cuda.float_matvec import float_matvec
from engine.ops.cuda.launch import launch
from engine.ops.cuda.q4_k_exact import q4_k_exact
from engine.ops.cuda.q4_k_matmul import q4_k_matmul
from engine.ops.cuda.q4_k_matvec import q4_k_matvec
from engine.ops.cuda.q6_k_exact import q6_k_exact
from engine.ops.cuda.q6_k_matmul import q6_k_matmul
from engine.ops.cuda.q6_k_matvec import q6_k_matvec
from engine.ops.cuda.q8_0_exact import q8_0_exact
from engine.ops.cuda.q8_0_matmul import q8_0_matmul
from engine.ops.cuda.q8_0_matvec import q8_0_matvec
from engine.ops.cuda.split_sum import split_sum
from engine.ops.cuda.weights import KERNEL_TYPES, DeviceWeight

MATVEC_TOKENS = 8
"""Up to here each token reads the weights for itself; from 9 on a tile of tokens shares them."""

OUTPUT_ROWS = 32768
"""From here on a Q6_K product notes the best row of each tile; no other product of a model is as wide as its output."""

_SPLIT_BLOCK = 1024
_ARGMAX_BLOCK = 4096

DECODED_WEIGHTS_AT_ONCE = 1 << 23
"""Of a type without a kernel: 32 MiB of float32, and few enough slices that a graph can hold a model of them."""


def matmul(x: Any, weight: DeviceWeight, *, exact: bool) -> Any:
    """x (T, K) times the transpose of `weight` (N, K): (T, N) float32.

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    check(x, weight.name, weight.shape)
    if weight.type not in KERNEL_TYPES:
        return _decoded(x, weight)
    if weight.type in (GgmlType.F32, GgmlType.F16, GgmlType.BF16):
        return _float(x, weight)
    if exact:
        return _exact(x, weight)
    return _matvec(x, weight) if x.shape[0] <= MATVEC_TOKENS else _matmul(x, weight)


def check(x: Any, name: str, shape: tuple[int, int]) -> None:
    if x.shape[1] != shape[1]:
        raise ShapeError(f"{name}: rows have {shape[1]} weights, the activation has {x.shape[1]} values")
    assert x.dtype == torch.float32, "activations are float32"
    assert x.is_contiguous(), "activations are contiguous"


def largest(values: Any) -> Any:
    """Index of the largest of values (T, M), the first of equals, -1 where it is not finite: (T,) int32."""
    tokens, rows = values.shape[0], None
    kept = getattr(values, "best", None)
    if kept is not None:
        values, rows = kept
    while values.shape[1] > 1 or rows is None:
        size = values.shape[1]
        tiles = triton.cdiv(size, _ARGMAX_BLOCK)
        best = _new(values, tokens, tiles)
        best_row = torch.empty((tokens, tiles), dtype=torch.int32, device=values.device)
        launch(
            argmax, (tiles, 1, tokens), warps=8,
            values=values, rows=rows if rows is not None else best_row, best=best, best_row=best_row, size=size,
            NAMED=rows is not None, BLOCK=_ARGMAX_BLOCK,
        )  # fmt: skip
        values, rows = best, best_row
    return rows[:, 0]


def _decoded(x: Any, weight: DeviceWeight) -> Any:
    rows, columns = weight.shape
    out = _new(x, x.shape[0], rows)
    step = max(1, DECODED_WEIGHTS_AT_ONCE // max(columns, 1))
    for start in range(0, rows, step):
        out[:, start : start + step] = _float(x, _decoded_rows(weight, start, start + step))
    return out


def _decoded_rows(weight: DeviceWeight, start: int, end: int) -> DeviceWeight:
    values = decode.decode(weight.type, weight.planes["raw"][start:end])
    return DeviceWeight(weight.name, GgmlType.F32, tuple(values.shape), {"values": values})


def _new(like: Any, *shape: int) -> Any:
    return torch.empty(shape, dtype=torch.float32, device=like.device)


def _matvec(x: Any, weight: DeviceWeight) -> Any:
    tokens, (rows, _) = x.shape[0], weight.shape
    config = configs.table().matvec[weight.type]
    blocks = configs.blocks_per_step(config.blocks, weight.blocks)
    steps = weight.blocks // blocks
    splits = configs.splits(rows, steps)
    q = activations.quantised(x)
    out = _new(x, splits, tokens, rows)
    grid = (triton.cdiv(rows, config.rows), splits, tokens)
    planes, shared = weight.planes, {
        "xq": q.words, "xd": q.xd, "out": out, "rows": rows, "blocks": weight.blocks,
        "steps_per_split": triton.cdiv(steps, splits), "ROWS": config.rows, "BLOCKS": blocks,
        "ASSEMBLY": target.assembly(), "warps": config.warps,
    }  # fmt: skip
    match weight.type:
        case GgmlType.Q4_K:
            launch(q4_k_matvec, grid, w=planes["blocks"], xs=q.xs, **shared)
        case GgmlType.Q6_K:
            # an output this wide is that of the vocabulary: half of the argmax costs nothing here
            is_output = rows >= OUTPUT_ROWS and splits == 1
            best = _new(x, tokens, grid[0]) if is_output else out
            row = torch.empty((tokens, grid[0]), dtype=torch.int32, device=x.device) if is_output else q.x16
            launch(q6_k_matvec, grid, **planes, x16=q.x16, best=best, best_row=row, BEST=is_output, **shared)
            if is_output:
                whole = out[0]
                whole.best = (best, row)
                return whole
        case _:
            launch(q8_0_matvec, grid, **planes, **shared)
    if splits == 1:
        return out[0]
    total = _new(x, tokens, rows)
    size = tokens * rows
    launch(
        split_sum, (triton.cdiv(size, _SPLIT_BLOCK), 1, 1), warps=4,
        parts=out, out=total, size=size, SPLITS=splits, BLOCK=_SPLIT_BLOCK,
    )  # fmt: skip
    return total


def _exact(x: Any, weight: DeviceWeight) -> Any:
    tokens, (rows, _) = x.shape[0], weight.shape
    config = configs.table().exact[weight.type]
    kernel = {GgmlType.Q4_K: q4_k_exact, GgmlType.Q6_K: q6_k_exact, GgmlType.Q8_0: q8_0_exact}[weight.type]
    planes = dict(weight.planes)
    if weight.type == GgmlType.Q4_K:
        planes = {"w": planes["blocks"]}
    out = _new(x, tokens, rows)
    launch(
        kernel, (triton.cdiv(rows, config.rows), 1, tokens), warps=config.warps,
        **planes, x=x, out=out, rows=rows, blocks=weight.blocks, ROWS=config.rows,
        BLOCKS=configs.blocks_per_step(config.blocks, weight.blocks),
    )  # fmt: skip
    return out


def _matmul(x: Any, weight: DeviceWeight) -> Any:
    tokens, (rows, _) = x.shape[0], weight.shape
    config = configs.table().matmul[weight.type]
    xh, scale = activations.halves(x)
    out = _new(x, tokens, rows)
    planes = dict(weight.planes)
    match weight.type:
        case GgmlType.Q4_K:
            kernel, planes = q4_k_matmul, {"w": planes["blocks"].view(torch.uint8)}
        case GgmlType.Q6_K:
            kernel = q6_k_matmul
            planes |= {key: planes[key].view(torch.uint8) for key in ("low", "high")}
        case _:
            kernel, planes = q8_0_matmul, planes | {"quants": planes["quants"].view(torch.int8)}
    launch(
        kernel, (triton.cdiv(rows, config.rows), triton.cdiv(tokens, config.tokens), 1),
        warps=config.warps, stages=config.stages,
        **planes, xh=xh, scale=scale, out=out, tokens=tokens, rows=rows, blocks=weight.blocks,
        ROWS=config.rows, TOKENS=config.tokens,
    )  # fmt: skip
    return out


def _float(x: Any, weight: DeviceWeight) -> Any:
    tokens, (rows, columns) = x.shape[0], weight.shape
    out = _new(x, tokens, rows)
    arguments = {"w": weight.planes["values"], "x": x, "out": out, "rows": rows, "columns": columns}
    if tokens <= MATVEC_TOKENS:
        vector = configs.table().matvec[weight.type]
        launch(
            float_matvec, (triton.cdiv(rows, vector.rows), 1, tokens), warps=vector.warps,
            **arguments, ROWS=vector.rows, COLUMNS=vector.blocks,
        )  # fmt: skip
        return out
    tile = configs.table().matmul[weight.type]
    launch(
        float_matmul, (triton.cdiv(rows, tile.rows), triton.cdiv(tokens, tile.tokens), 1),
        warps=tile.warps, stages=tile.stages,
        **arguments, tokens=tokens, ROWS=tile.rows, TOKENS=tile.tokens, COLUMNS=32,
    )  # fmt: skip
    return out
