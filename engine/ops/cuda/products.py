"""Matrix products on the device: which kernel, with which tiles.

    tokens        quantised weights, default mode        exact mode      F32, F16, BF16
    1 to 8        8-bit activations, `*_matvec`          `*_exact`       `float_matvec`
    more          float16 activations, `*_matmul`        `*_exact`       `float_matmul`

Weights of a type without a kernel are decoded to float32 on the device, a slice of rows at a time, in every mode.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from engine.ops.cuda.sums import Sum, or_else
from engine.ops.cuda.weights import KERNEL_TYPES, DeviceWeight

MATVEC_TOKENS = 8
"""Up to here each token reads the weights for itself; from 9 on a tile of tokens shares them."""

OUTPUT_ROWS = 32768
"""From here on a product notes the best row of each tile; no other one of a model is as wide as its output."""

QUANTISED = (GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0)

_ARGMAX_BLOCK = 4096

DECODED_WEIGHTS_AT_ONCE = 1 << 23
"""Of a type without a kernel: 32 MiB of float32, and few enough slices that a graph can hold a model of them."""


@dataclass(frozen=True, slots=True)
class Product:
    """What a product has left on the device."""

    parts: Any
    """(S, T, N) float32, to be added up."""
    best: tuple[Any, Any] | None = None
    """Of some parts of each row, the largest value and where it is: (T, M) float32, int32."""
    activated: Any = None
    """(T, N / 2), of a gated product."""


def matmul(x: Any, weight: DeviceWeight, *, exact: bool) -> Any:
    """x (T, K) times the transpose of `weight` (N, K): (T, N) float32.

    Raises:
        ShapeError: the rows of x and of the weight differ in length.
    """
    product = multiply(x, weight, exact=exact)
    out = Sum(product.parts).added()
    if product.best is not None:
        out.best = product.best
    return out


def multiply(x: Any, weight: DeviceWeight, *, exact: bool) -> Product:
    """`matmul`, not added up.

    Raises:
        ShapeError: as `matmul`.
    """
    check(x, weight.name, weight.shape)
    if weight.type not in KERNEL_TYPES:
        return Product(_decoded(x, weight)[None])
    is_plain = weight.type in (GgmlType.F32, GgmlType.F16, GgmlType.BF16)
    if exact and not is_plain:
        return Product(_exact(x, weight)[None])
    if x.shape[0] <= MATVEC_TOKENS:
        return _matvec(x, weight, gated=False)
    return Product((_float_matmul if is_plain else _matmul)(x, weight)[None])


def gated(x: Any, weight: DeviceWeight) -> Product:
    """The product with the rows of ffn_gate and below them those of ffn_up, and SwiGLU of the two; T <= MATVEC_TOKENS.

    Raises:
        ShapeError: as `matmul`.
    """
    check(x, weight.name, weight.shape)
    return _matvec(x, weight, gated=True)


def check(x: Any, name: str, shape: tuple[int, int]) -> None:
    if x.shape[1] != shape[1]:
        raise ShapeError(f"{name}: rows have {shape[1]} weights, the activation has {x.shape[1]} values")
    assert x.dtype == torch.float32, "activations are float32"
    assert x.is_contiguous(), "activations are contiguous"


def largest(values: Any) -> Any:
    """Index of the largest of values (T, M), the first of equals, -1 where it is not finite: (T,) int32."""
    tokens = values.shape[0]
    kept = getattr(values, "best", None)
    values, rows = kept if kept is not None else (values, None)
    out = torch.empty(tokens, dtype=torch.int32, device=values.device)
    launch(
        argmax, (tokens, 1, 1), warps=8,
        values=values.contiguous(), rows=or_else(rows, out), out=out, size=values.shape[1],
        NAMED=rows is not None, BLOCK=_ARGMAX_BLOCK,
    )  # fmt: skip
    return out


def _decoded(x: Any, weight: DeviceWeight) -> Any:
    decode.warn(weight.type)
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


def _matvec(x: Any, weight: DeviceWeight, *, gated: bool) -> Product:
    tokens, (rows, columns) = x.shape[0], weight.shape
    table = configs.table()
    config = (table.gated if gated else table.matvec)[weight.type]
    is_plain = weight.type not in QUANTISED
    blocks = config.blocks if is_plain else configs.blocks_per_step(config.blocks, weight.blocks)
    steps = weight.blocks // blocks
    splits = 1 if gated or is_plain else configs.splits(weight.shape, steps)
    tile_rows = config.rows // 2 if gated else config.rows
    grid = (triton.cdiv(rows // 2 if gated else rows, tile_rows), splits, tokens)
    out = _new(x, splits, tokens, rows)
    # an output this wide is that of the vocabulary: most of the argmax costs nothing here
    best = None
    if rows >= OUTPUT_ROWS and splits == 1 and not gated:
        best = _new(x, tokens, grid[0]), torch.empty((tokens, grid[0]), dtype=torch.int32, device=x.device)
    activated = _new(x, tokens, rows // 2) if gated else None
    form = activations.kept_with(activated) if gated and rows % 64 == 0 else None
    shared = {
        "out": out, "best": best[0] if best else out, "best_row": best[1] if best else out, "rows": rows,
        "activated": or_else(activated, out), **activations.arguments(form, out, ("aq", "ad", "a_sum", "a16")),
        "ROWS": config.rows, "GATED": gated, "EIGHT_BITS": form is not None, "BEST": best is not None,
        "warps": config.warps if is_plain else configs.warps(config, blocks, weight.type),
    }  # fmt: skip
    if is_plain:
        launch(float_matvec, grid, w=weight.planes["values"], x=x, columns=columns, COLUMNS=blocks, **shared)
        return Product(out, best, activated)
    q = activations.quantised(x)
    shared |= {
        "xq": q.words, "xd": q.xd, "blocks": weight.blocks, "steps_per_split": triton.cdiv(steps, splits),
        "BLOCKS": blocks, "ASSEMBLY": target.assembly(),
    }  # fmt: skip
    match weight.type:
        case GgmlType.Q4_K:
            launch(q4_k_matvec, grid, w=weight.planes["blocks"], xs=q.xs, **shared)
        case GgmlType.Q6_K:
            launch(q6_k_matvec, grid, **weight.planes, x16=q.x16, **shared)
        case _:
            launch(q8_0_matvec, grid, **weight.planes, **shared)
    return Product(out, best, activated)


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
    return matmul(x, weight, exact=False)


def _float_matmul(x: Any, weight: DeviceWeight) -> Any:
    tokens, (rows, columns) = x.shape[0], weight.shape
    out = _new(x, tokens, rows)
    tile = configs.table().matmul[weight.type]
    launch(
        float_matmul, (triton.cdiv(rows, tile.rows), triton.cdiv(tokens, tile.tokens), 1),
        warps=tile.warps, stages=tile.stages, w=weight.planes["values"], x=x, out=out, rows=rows, columns=columns,
        tokens=tokens, ROWS=tile.rows, TOKENS=tile.tokens, COLUMNS=32,
    )  # fmt: skip
    return out
