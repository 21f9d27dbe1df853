"""Activations in the two forms that products read: 8-bit blocks for matvec, float16 rows for matmul.

The formats are described in `quantise` and `half_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton

from engine.errors import ShapeError
from engine.ops.cuda.half_rows import half_rows
from engine.ops.cuda.launch import launch
from engine.ops.cuda.quantise import quantise

_BLOCKS = 32
"""Blocks of 32 values that one program quantises."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """(T, K) activations as 8-bit integers; fields as in `quantise`."""

    xq: Any
    xd: Any
    xs: Any
    x16: Any

    @property
    def words(self) -> Any:
        """xq as (T, K/4) int32 of four bytes."""
        return self.xq.view(torch.int32)


def empty(tokens: int, columns: int, device: Any) -> Quantised:
    """Room for (tokens, columns) activations, not written.

    Raises:
        ShapeError: columns is not a multiple of 32.
    """
    if columns % 32:
        raise ShapeError(f"an activation of {columns} values cannot be quantised in blocks of 32")
    return Quantised(
        xq=torch.empty((tokens, columns), dtype=torch.int8, device=device),
        xd=torch.empty((tokens, columns // 32), dtype=torch.float32, device=device),
        xs=torch.empty((tokens, columns // 32), dtype=torch.float32, device=device),
        x16=torch.empty((tokens, columns // 16), dtype=torch.int32, device=device),
    )


def quantised(x: Any) -> Quantised:
    """x (T, K) in blocks of 8-bit integers; what a fused kernel has left with x is used.

    Raises:
        ShapeError: K is not a multiple of 32.
    """
    kept = getattr(x, "quantised", None)
    if isinstance(kept, Quantised):
        return kept
    tokens, columns = x.shape
    assert x.is_contiguous(), "launchers hand over contiguous activations"
    out = kept_with(x)
    blocks = columns // 32
    launch(
        quantise, (triton.cdiv(blocks, _BLOCKS), 1, tokens), warps=4,
        x=x, xq=out.xq, xd=out.xd, xs=out.xs, x16=out.x16, blocks=blocks, BLOCKS=_BLOCKS,
    )  # fmt: skip
    return out


def kept_with(x: Any) -> Quantised:
    """Room for the quantised form of x (T, K), left with it: the launch that writes x writes both."""
    tokens, columns = x.shape
    out = empty(tokens, columns, x.device)
    x.quantised = out  # nobody writes to activations afterwards
    return out


def arguments(form: Quantised | None, other: Any, names: tuple[str, ...] = ("xq", "xd", "xs", "x16")) -> dict[str, Any]:
    """The fields as arguments of a kernel; where there is no form, another tensor that is not written."""
    fields = (other,) * 4 if form is None else (form.xq, form.xd, form.xs, form.x16)
    return dict(zip(names, fields, strict=True))


def halves(x: Any) -> tuple[Any, Any]:
    """x (T, K) as float16, and the scale (T,) of each row."""
    kept = getattr(x, "halves", None)
    if kept is not None:
        return kept[0], kept[1]
    tokens, columns = x.shape
    assert x.is_contiguous(), "launchers hand over contiguous activations"
    xh, scale = halves_kept_with(x)
    # with 4 warps triton 3.6 spills a register on sm_80
    launch(half_rows, (tokens, 1, 1), warps=8, x=x, xh=xh, scale=scale, size=columns, BLOCK=1024)
    return xh, scale


def halves_kept_with(x: Any) -> tuple[Any, Any]:
    """Room for what `halves` gives, left with x: the launch that writes x writes both."""
    xh = torch.empty(x.shape, dtype=torch.float16, device=x.device)
    x.halves = (xh, torch.empty(x.shape[0], dtype=torch.float32, device=x.device))
    return x.halves[0], x.halves[1]
