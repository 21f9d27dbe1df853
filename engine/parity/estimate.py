"""What samples say of the thing they were taken from, and how surely.

Steps after one prompt are alike, so samples come in clusters, one per prompt. With m the mean of all N samples, S_c
and n_c the sum and number of cluster c, and C clusters:

    standard error  sqrt(C / (C - 1) * sum_c (S_c - n_c m)^2) / N
    interval        m +- t * standard error,  t the 97.5 % point of Student's t with C - 1 degrees of freedom

Where all n_c are equal the first is the standard deviation of the clusters' means over sqrt(C).

Samples of a single prompt are taken as clusters of one each, which makes the error too small where they are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt

Z = 1.959964
"""97.5 % point of the normal distribution."""

# 97.5 % points of Student's t for 1, 2, ... degrees of freedom.
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


@dataclass(frozen=True, slots=True)
class Mean:
    """An estimated mean; error and interval are None where there are too few samples to tell."""

    mean: float
    standard_error: float | None
    low: float | None
    high: float | None
    clusters: int
    """What the error was taken over."""


def mean(clusters: Sequence[Sequence[float]]) -> Mean | None:
    """The mean of samples in clusters; None without samples."""
    clusters = [cluster for cluster in clusters if cluster]
    if len(clusters) == 1:
        clusters = [[value] for value in clusters[0]]
    if not clusters:
        return None
    total, count = fsum(map(fsum, clusters)), sum(map(len, clusters))
    m = total / count
    if len(clusters) == 1:
        return Mean(m, None, None, None, 1)
    squares = fsum((fsum(cluster) - len(cluster) * m) ** 2 for cluster in clusters)
    error = sqrt(len(clusters) / (len(clusters) - 1) * squares) / count
    half = t(len(clusters) - 1) * error
    return Mean(m, error, m - half, m + half, len(clusters))


def t(degrees: int) -> float:
    """97.5 % point of Student's t, within 0.001."""
    if degrees <= len(_T):
        return _T[degrees - 1]
    # the first terms of its expansion about the normal distribution
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    return Z + first / degrees + second / degrees**2


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % score interval of a share of `count` >= 1 independent samples; sound for shares of 0 and 1 too."""
    share, z2 = hits / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z * sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)
