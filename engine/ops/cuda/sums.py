"""Sums that no kernel has added up yet, handed from the product that leaves the terms to the kernel that reads the sum.

A product leaves one part for each share of its columns. What follows it adds a bias or a residual, and the kernel after
that reads the sum once more: it may as well do the adding. Every kernel adds in the order of `split_sum`, so the sum is
the same bit for bit wherever it is taken.
"""

from __future__ import annotations

from typing import Any

import torch
import triton

from engine.ops.cuda.launch import launch
from engine.ops.cuda.split_sum import split_sum

_BLOCK = 1024


class Sum:
    """(T, N) float32: residual + (part 0 + part 1 + ... + bias)."""

    def __init__(
        self, parts: Any, *, bias: Any = None, residual: Any = None, total: Any = None, shape: tuple[int, ...] = ()
    ) -> None:
        """Nothing is added yet.

        Args:
            parts: (S, T, N); columns have stride 1.
            bias: (N,). residual: (T, N), contiguous.
            total: (T, N), if it is known already.
            shape: what the sum is seen as; (T, N) if not given.
        """
        self.parts, self.bias, self.residual, self.total = parts, bias, residual, total
        self.shape = shape or tuple(parts.shape[1:])

    def reshape(self, *shape: int) -> Any:
        """The same sum, seen in another shape; a tensor where that does not begin with T."""
        if shape[0] != self.shape[0]:
            return self.added().reshape(shape)
        return Sum(self.parts, bias=self.bias, residual=self.residual, total=self.total, shape=shape)

    def __getitem__(self, tokens: slice) -> Sum:
        residual, total = (None if array is None else array[tokens] for array in (self.residual, self.total))
        return Sum(self.parts[:, tokens], bias=self.bias, residual=residual, total=total)

    def added(self) -> Any:
        """The sum as (T, N). Whoever reads it next adds again: looking at a sum changes nothing for others."""
        if self.total is not None:
            return self.total
        if self.parts.shape[0] == 1 and self.bias is None and self.residual is None:
            return self.parts[0]
        _, tokens, columns = self.parts.shape
        out = torch.empty((tokens, columns), dtype=torch.float32, device=self.parts.device)
        launch(
            split_sum, (triton.cdiv(columns, _BLOCK), 1, tokens), warps=4,
            parts=self.parts, bias=or_else(self.bias, out), residual=or_else(self.residual, out), out=out, size=columns,
            **self.strides, **self.flags, BLOCK=_BLOCK,
        )  # fmt: skip
        return out

    def cpu(self) -> Any:
        """The sum on the host, for a tap."""
        return self.added().reshape(self.shape).cpu()

    @property
    def strides(self) -> dict[str, int]:
        """Arguments of `load_sum`."""
        return {"part_stride": self.parts.stride(0), "token_stride": self.parts.stride(1)}

    @property
    def flags(self) -> dict[str, Any]:
        """Constants of `load_sum`."""
        return {
            "PARTS": self.parts.shape[0], "BIAS": self.bias is not None, "RESIDUAL": self.residual is not None
        }  # fmt: skip


def lazy(x: Any) -> Sum:
    """x (T, N) as a sum: of one part, if it is a tensor or has been added up."""
    if isinstance(x, Sum) and x.total is None and x.shape == tuple(x.parts.shape[1:]):
        return x
    x = settled(x).contiguous()
    return Sum(x[None], total=x)


def settled(x: Any) -> Any:
    """x as a tensor of its shape."""
    if not isinstance(x, Sum):
        return x
    out = x.added()
    return out if tuple(out.shape) == x.shape else out.reshape(x.shape)


def or_else(array: Any, other: Any) -> Any:
    """The array, or where there is none another one that is not read."""
    return other if array is None else array
