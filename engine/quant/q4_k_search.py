"""Choose scales, minimums and quants of Q4_K blocks for the least squared error.

For one sub-block the error  sum (s q - m - x)^2  is a least-squares line fit once the quants q are fixed, and the
best quants are a rounding once (s, m) are fixed. Three steps:

1. For each sub-block alone, round with a grid of steps around range / 15, fit (s, m) to each rounding, keep the best.
2. For each block, take d and dmin from the largest scale and minimum, round scales and minimums to 6 bits, then
   try the neighbours of both integers of every sub-block and keep the best pair.
3. Fit (d, dmin) to the quants found, round to float16, repeat step 2 with them, keep what lowers the error.

The minimum is never negative (the format cannot say it), so a sub-block of positive weights has m = 0.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from engine.quant.blocks import Bytes, Floats, check_scale

Halves = npt.NDArray[np.float16]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_MAX_QUANT = 15
_MAX_SCALE = 63
_STEPS = np.arange(12.5, 16.8, 0.2)
"""Quants that the range of a sub-block is divided into; fewer than 15 clip nothing, more clip the extremes."""

_NEIGHBOURS = (0, -1, 1, -2, 2)
"""Distances from the nearest 6-bit integer that are tried; 0 first, so that it wins a tie."""


class Blocks(NamedTuple):
    """Fields of n blocks before packing, and the squared error of each."""

    d: Halves
    """(n, 2); d first, dmin second."""
    scales: Bytes
    """(n, 8) in 0..63."""
    minimums: Bytes
    """(n, 8) in 0..63."""
    quants: Bytes
    """(n, 8, 32) in 0..15."""
    error: Floats
    """(n,)."""


def search(x: Floats) -> Blocks:
    """Find the fields of each block of x, (blocks, 8, 32) float32.

    Raises:
        QuantError: a scale exceeds float16.
    """
    scale, minimum = _fit_sub_blocks(x)
    d = np.stack([scale.max(axis=1), minimum.max(axis=1)], axis=1, dtype=np.float32) / np.float32(_MAX_SCALE)
    check_scale(d, "q4_k")
    best = _round_scales(x, scale, minimum, d.astype("<f2"))
    for _ in range(2):
        best = _better(_round_scales(x, scale, minimum, _fit_blocks(x, best)), best)
    return best


def _better(new: Blocks, old: Blocks) -> Blocks:
    """Block by block the one with the smaller error; `old` at a tie."""
    better = new.error < old.error

    def select(one: npt.NDArray[_Scalar], other: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        return np.where(better.reshape(-1, *(1,) * (one.ndim - 1)), one, other)

    return Blocks(
        select(new.d, old.d),
        select(new.scales, old.scales),
        select(new.minimums, old.minimums),
        select(new.quants, old.quants),
        select(new.error, old.error),
    )


def _fit_sub_blocks(x: Floats) -> tuple[Floats, Floats]:
    """Best unrounded scale and minimum of each sub-block, two (blocks, 8) float32, both >= 0."""
    low = np.minimum(x.min(axis=2), 0)
    span = x.max(axis=2) - low
    sum_x = x.sum(axis=2)
    best_scale = np.zeros_like(span)
    best_minimum = -low
    best_gain = np.full_like(span, -np.inf)
    shifted = x - low[..., np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        for step in _STEPS:
            inverse = np.where(span > 0, np.float32(step) / span, 0).astype(np.float32)
            q = shifted * inverse[..., np.newaxis]
            np.rint(q, out=q)
            np.minimum(q, _MAX_QUANT, out=q)
            sum_q = q.sum(axis=2)
            sum_qq = np.einsum("ijk,ijk->ij", q, q)
            sum_xq = np.einsum("ijk,ijk->ij", x, q)
            determinant = 32 * sum_qq - sum_q * sum_q
            scale = (32 * sum_xq - sum_q * sum_x) / determinant
            minimum = (sum_q * sum_xq - sum_qq * sum_x) / determinant
            through_zero = ~(minimum > 0)
            scale = np.where(through_zero, sum_xq / sum_qq, scale)
            minimum = np.where(through_zero, 0, minimum)
            # what the fit takes off sum x^2; larger is better
            gain = scale * sum_xq - minimum * sum_x
            better = (gain > best_gain) & (scale > 0) & np.isfinite(scale)
            best_gain = np.where(better, gain, best_gain)
            best_scale = np.where(better, scale, best_scale)
            best_minimum = np.where(better, minimum, best_minimum)
    return best_scale, best_minimum


def _round_scales(x: Floats, scale: Floats, minimum: Floats, d: Halves) -> Blocks:
    """Best 6-bit scales and minimums near (scale, minimum) for given d."""
    wide = d.astype(np.float32)
    d_scale, d_minimum = wide[:, 0:1], wide[:, 1:2]
    near_scale = np.rint(_divide(scale, d_scale))
    near_minimum = np.rint(_divide(minimum, d_minimum))
    best_error = np.full(scale.shape, np.inf, np.float32)
    best_scale = np.zeros(scale.shape, np.uint8)
    best_minimum = np.zeros(scale.shape, np.uint8)
    best_quants = np.zeros(x.shape, np.uint8)
    for delta_scale in _NEIGHBOURS:
        integer_scale = np.clip(near_scale + delta_scale, 0, _MAX_SCALE)
        s = (d_scale * integer_scale)[..., np.newaxis]
        inverse = _divide(np.ones_like(s), s)
        for delta_minimum in _NEIGHBOURS:
            integer_minimum = np.clip(near_minimum + delta_minimum, 0, _MAX_SCALE)
            shifted = x + (d_minimum * integer_minimum)[..., np.newaxis]
            q = shifted * inverse
            np.rint(q, out=q)
            np.clip(q, 0, _MAX_QUANT, out=q)
            shifted -= q * s
            error = np.einsum("ijk,ijk->ij", shifted, shifted)
            better = error < best_error
            best_error = np.where(better, error, best_error)
            best_scale[better] = integer_scale[better]
            best_minimum[better] = integer_minimum[better]
            best_quants[better] = q[better]
    return Blocks(d, best_scale, best_minimum, best_quants, best_error.sum(axis=1))


def _fit_blocks(x: Floats, blocks: Blocks) -> Halves:
    """Least-squares (d, dmin) of each block for its integers; the old pair where the fit is not usable."""
    a = blocks.quants * blocks.scales[..., np.newaxis].astype(np.float32)
    b = blocks.minimums.astype(np.float32)
    sum_aa = np.einsum("ijk,ijk->i", a, a)
    sum_ab = np.einsum("ijk,ij->i", a, b)
    sum_bb = 32 * np.einsum("ij,ij->i", b, b)
    sum_xa = np.einsum("ijk,ijk->i", x, a)
    sum_xb = np.einsum("ijk,ij->i", x, b)
    determinant = sum_aa * sum_bb - sum_ab * sum_ab
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (sum_xa * sum_bb - sum_xb * sum_ab) / determinant
        dmin = (sum_xa * sum_ab - sum_xb * sum_aa) / determinant
        # without minimums the system is singular and d alone is fitted
        alone = sum_bb == 0
        d = np.where(alone, sum_xa / sum_aa, d)
    dmin = np.where(alone, 0, dmin)
    fit = np.stack([d, dmin], axis=1)
    usable = (np.isfinite(fit) & (fit >= 0) & (fit <= 65504)).all(axis=1, keepdims=True)
    fitted: Halves = np.where(usable, fit, 0).astype("<f2")
    return np.where(usable, fitted, blocks.d)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, 0 where the denominator is 0."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    usable = np.broadcast_to(denominator > 0, shape)
    return np.divide(numerator, denominator, out=np.zeros(shape, np.float32), where=usable)
